// Turns recorded graphs into plans, plans into commands, and hands them to a stream. One per thread and
// device.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tl/device/device.h"
#include "tl/device/host_tensor.h"
#include "tl/exec/observer.h"
#include "tl/tensor/graph.h"

namespace tl {

class Trace;  // tl/exec/trace.h

struct ExecOptions {
  bool eager = false;          // one command, then wait
  std::optional<u64> shuffle;  // any legal order, drawn from this seed
  int commands_per_batch = 0;  // 0: the measured default
  bool fuse = true;
  bool replay = true;            // functions that were called before are replayed, not interpreted
  int fewest_traced_nodes = 16;  // smaller functions are cheaper as part of what is around them
  std::string checksums_path;    // one line per command; empty: none
  double wait_timeout_seconds =
      0;  // a wait that lasts longer fails, naming the command that is stuck; 0: never
  std::optional<Recorder::Generator> generator;  // where random draws begin
  ExecObserver* observer = nullptr;              // is told what executors do; null: nobody
  i64 pending_soft_limit = 2000;                 // nodes; checked where a loop comes round
  i64 pending_hard_limit = 20000;                // nodes; checked at every op
};

struct ExecStats {
  u64 plans_made = 0, plans_reused = 0;
  u64 commands = 0, batches = 0, nodes = 0;
  u64 kept_conversions = 0;  // steps that were not run again
  u64 replays = 0;           // of traces
};

class Executor {
 public:
  static Result<std::unique_ptr<Executor>> create(Device& device, ExecOptions options);
  ~Executor();

  Device& device() { return device_; }
  Recorder& recorder() { return recorder_; }
  const ExecStats& stats() const { return stats_; }
  const ExecOptions& options() const { return options_; }

  // Records one application of `op`; computes nothing (unless a pending bound is reached).
  Result<Tensor> apply(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs = {}, Span origin = {});
  Result<Tensor> apply(const OpDef& op, std::initializer_list<Tensor> inputs, Attrs attrs = {},
                       Span origin = {}) {
    return apply(op, std::span<const Tensor>(inputs.begin(), inputs.size()), std::move(attrs), origin);
  }

  // The same for an op with several outputs: a tensor for each.
  Result<std::vector<Tensor>> apply_all(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs = {},
                                        Span origin = {});

  // `tensor` in a format of several buffers, and its elements again. Ops take such values as any others.
  Result<Tensor> pack(const Format& format, const Tensor& tensor, Span origin = {});
  Result<Tensor> unpack(const Tensor& packed, Span origin = {});

  // Hands what `roots` need to the stream and returns without waiting.
  // A failure that nobody looks at is told by `finish` or, where that depended on when something happens to
  // be submitted, by nobody.
  enum class IfUnseen : u8 { Report, Drop };
  Result<void> submit(std::span<const Tensor> roots, IfUnseen failures = IfUnseen::Report);
  // Submits everything pending that somebody still holds, and never waits. When is up to bounds: what fails
  // and is never looked at is nobody's failure, as if it had not been submitted.
  Result<void> flush();
  // A place where a program's loop comes round: flushes if more than the soft limit is pending, so that a
  // loop that never looks at a number does not grow, and flushes fall at the same place of every round.
  Result<void> loop_point();
  // Submits `tensor` if needed and blocks until it is computed. Returns the failure of whatever it depends
  // on.
  Result<void> wait(const Tensor& tensor);
  // Blocks until everything submitted is done; reports failures nobody has looked at.
  Result<void> finish();
  // The end of a program waits for no more than what it has to report, and drops the rest: nobody can look at
  // it any more.
  Result<void> report_unseen();
  void drop();

  // Whether an executor was given up with work that would not end: its device cannot be destroyed either.
  static bool any_stuck();

  // Asked while waiting: true ends the wait with Code::Interrupted. Submitted work that is not done then
  // fails the same way (Drop: nobody will want it), or goes on (Finish: what a caller holds stays what it
  // was).
  enum class OnCancel : u8 { Drop, Finish };
  void set_cancel_check(std::function<bool()> check, OnCancel then = OnCancel::Drop);

  // Evaluates what `trace` recorded with other inputs, which it takes, and gives its outputs. False, with
  // everything as it was, where it does not fit this call: then record the work anew. Never waits.
  Result<bool> replay(Trace& trace, std::vector<Tensor>& inputs, std::span<const i64> given,
                      std::vector<Tensor>& outputs);

  // Rounds of `body` (tl/exec/repeat.h) from `state` on, until its count is zero or `limit` rounds are done:
  // the state after the last one, and its count. Never waits, for the rounds neither.
  Result<std::vector<Tensor>> repeat(std::unique_ptr<Trace> body, std::span<const Tensor> state, i64 limit,
                                     Span origin = {});

  // Copies to the host, in row order.
  Result<HostTensor> read(const Tensor& tensor);
  // One number. Fails unless the tensor has exactly one element.
  Result<double> item(const Tensor& tensor);
  Result<i64> item_int(const Tensor& tensor);
  // A tensor over a copy of `bytes` (row order).
  Result<Tensor> from_host(TensorType type, std::span<const std::byte> bytes);
  // An empty tensor [0, row...] whose later appends grow in place up to `capacity` rows.
  Result<Tensor> reserved(DType dtype, const Shape& row, i64 capacity);

 private:
  struct Impl;
  Result<void> run(std::span<const Tensor> roots, Then then);
  Result<std::vector<Tensor>> apply_to_parts(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs,
                                             Span origin);
  Result<Tensor> materialise(const Tensor& scalar);
  Executor(Device& device, ExecOptions options);

  Device& device_;
  ExecOptions options_;
  Recorder recorder_;
  ExecStats stats_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tl
