// Several observers where a device or an executor has room for one.
#pragma once

#include <vector>

#include "tl/device/stream.h"
#include "tl/exec/observer.h"

namespace tl {

class CommandObservers : public CommandObserver {
 public:
  void add(CommandObserver* one) { all_.push_back(one); }
  bool empty() const { return all_.empty(); }
  void ran(const Batch& batch, size_t command, StreamId stream, i64 begin_ns, i64 end_ns,
           i64 busy_ns) override {
    for (CommandObserver* one : all_) one->ran(batch, command, stream, begin_ns, end_ns, busy_ns);
  }

 private:
  std::vector<CommandObserver*> all_;
};

class ExecObservers : public ExecObserver {
 public:
  void add(ExecObserver* one) { all_.push_back(one); }
  bool empty() const { return all_.empty(); }
  void was_in(HostPhase phase, i64 begin_ns, i64 end_ns) override {
    for (ExecObserver* one : all_) one->was_in(phase, begin_ns, end_ns);
  }
  void runs(const Plan& plan, const Snapshot& snapshot) override {
    for (ExecObserver* one : all_) one->runs(plan, snapshot);
  }
  void traced_again(Span function, Span where, std::string_view why) override {
    for (ExecObserver* one : all_) one->traced_again(function, where, why);
  }
  void not_traced(Span function, Span where, std::string_view why) override {
    for (ExecObserver* one : all_) one->not_traced(function, where, why);
  }

 private:
  std::vector<ExecObserver*> all_;
};

}  // namespace tl
