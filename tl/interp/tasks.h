// Tasks: functions of a program that run on host threads of their own, each with its own interpreter and
// executor on the program's device. So many run at once as the device has threads; the others wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "tl/builtins/task.h"
#include "tl/interp/interp.h"
#include "tl/value/heap.h"

namespace tl::interp {

// What a task writes, until it is joined: for both files, in the order it was written.
class TaskOutput {
 public:
  TaskOutput() : out_(*this, false), err_(*this, true) {}
  lang::Output& out() { return out_; }
  lang::Output& err() { return err_; }
  Result<void> show(lang::Host& host);

 private:
  class Side : public lang::Output {
   public:
    Side(TaskOutput& whole, bool is_error) : whole_(whole), is_error_(is_error) {}
    Result<void> write(std::string_view text) override;
    Result<void> flush() override { return {}; }

   private:
    TaskOutput& whole_;
    const bool is_error_;
  };
  struct Part {
    bool is_error;
    std::string text;
  };
  std::vector<Part> parts_;
  Side out_, err_;
};

struct TaskRecord : lang::TaskState {
  lang::Heap heap;  // of the values that are on their way from one thread to the other
  // Set by the one that spawns it.
  Value function;
  std::vector<Value> args;
  std::vector<std::pair<size_t, Value>> globals;  // those it may look at, by Program::globals
  u64 seed = 0;                                   // of its random numbers
  int depth = 1;                                  // 1: spawned by the program itself
  std::atomic<bool> stop{false};                  // nobody wants its result any more

  bool is_done = false;  // under the pool's mutex; all below is the task's until then, then its parent's
  std::optional<Result<Value>> result;
  std::vector<TraceEntry> trace;
  std::optional<int> exit_code;
  TaskOutput output;
};

class TaskPool {
 public:
  TaskPool(const Program& program, lang::Host& host);
  ~TaskPool();  // every task is done by now
  TaskPool(const TaskPool&) = delete;

  void start(std::shared_ptr<TaskRecord> task);
  // Until the task is done, or `self`, the task that waits (null: the program), is told to stop and does not
  // have to see the end of it.
  void wait(const TaskRecord& task, const TaskRecord* self, bool to_the_end = false);
  void stop(TaskRecord& task);
  // The program is over: nobody looks at what tasks have not computed.
  void drop();
  // The globals that a function may look at, itself or through what it calls by name.
  std::vector<size_t> globals_of(const Proto& proto);
  size_t limit() const { return limit_; }

 private:
  void scan(const Proto& proto, std::vector<bool>& seen, std::vector<bool>& globals) const;
  void dispatch();  // with the mutex held
  void work();
  void run(TaskRecord& task, std::unique_ptr<Executor>& executor);

  const Program& program_;
  lang::Host& host_;
  const size_t limit_;  // tasks that run at once

  std::mutex mutex_;
  std::condition_variable work_, change_;
  // Deeper ones first, so that few wait for others half done; among these in the order they were spawned.
  std::map<std::pair<int, u64>, std::shared_ptr<TaskRecord>> queue_;
  std::vector<std::thread> threads_;
  u64 spawned_ = 0;
  size_t running_ = 0, idle_ = 0, resuming_ = 0;  // tasks; threads without one; tasks whose wait is over
  bool is_closing_ = false, drops_ = false;
  std::map<size_t, std::vector<size_t>> globals_;  // what globals_of said, by Proto::index
};

}  // namespace tl::interp
