// Who looks at what executors do on the host: traces, profiles, `tl explain`.
#pragma once

#include <string_view>

#include "tl/base/span.h"
#include "tl/base/types.h"

namespace tl {

struct Plan;
struct Snapshot;

// What a host thread is at. Between two evaluations a program interprets and records.
enum class HostPhase : u8 { Record, Plan, Submit, Wait };
inline constexpr std::string_view kHostPhaseNames[] = {"record", "plan", "submit", "wait"};

// Called by the threads of a program; several executors share one.
class ExecObserver {
 public:
  virtual ~ExecObserver() = default;
  virtual void was_in(HostPhase, i64 /*begin_ns*/, i64 /*end_ns*/) {}
  // A plan is about to run with the sizes of `snapshot`, for the first time or again.
  virtual void runs(const Plan&, const Snapshot&) {}
  // A function is traced again, though it was before: `function` is where it is declared, `where` the place
  // in the program that used what is now another.
  virtual void traced_again(Span /*function*/, Span /*where*/, std::string_view /*why*/) {}
  // A function cannot be replayed, because of what it does at `where`.
  virtual void not_traced(Span /*function*/, Span /*where*/, std::string_view /*why*/) {}
};

}  // namespace tl
