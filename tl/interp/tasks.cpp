#include "tl/interp/tasks.h"

#include <algorithm>
#include <system_error>

#include "tl/base/fail_point.h"
#include "tl/interp/vm.h"

namespace tl::interp {

// ---- Output -----------------------------------------------------------------------------------------------

Result<void> TaskOutput::Side::write(std::string_view text) {
  std::vector<Part>& parts = whole_.parts_;
  if (parts.empty() || parts.back().is_error != is_error_) parts.push_back({is_error_, {}});
  parts.back().text += text;
  return {};
}

Result<void> TaskOutput::show(lang::Host& host) {
  for (const Part& part : std::exchange(parts_, {})) {
    if (!part.is_error) {
      TL_TRY_DO(host.out.write(part.text));
      continue;
    }
    TL_TRY_DO(host.out.flush());  // what was printed before stands before
    TL_TRY_DO(host.err.write(part.text));
    TL_TRY_DO(host.err.flush());
  }
  return {};
}

// ---- The pool ---------------------------------------------------------------------------------------------

TaskPool::TaskPool(const Program& program, lang::Host& host)
    : program_(program),
      host_(host),
      limit_(static_cast<size_t>(std::max(host.executor.device().info().threads, 1))) {}

TaskPool::~TaskPool() {
  {
    const std::lock_guard lock(mutex_);
    TL_CHECK(queue_.empty() && running_ == 0, "tasks outlive their program");
    is_closing_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void TaskPool::start(std::shared_ptr<TaskRecord> task) {
  const std::lock_guard lock(mutex_);
  const std::pair<int, u64> place(-task->depth, spawned_++);
  queue_.emplace(place, std::move(task));
  dispatch();
}

// As many idle threads as may take a task now. A task that waits for another keeps its thread.
void TaskPool::dispatch() {
  if (resuming_ > 0 || running_ >= limit_) return;
  const size_t wanted = std::min(queue_.size(), limit_ - running_);
  while (idle_ < wanted) {
    try {
      if (must_fail(FailPoint::Thread))
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
      threads_.emplace_back([this] { work(); });
      ++idle_;
    } catch (const std::system_error& e) {
      if (idle_ + running_ > 0) break;  // they will get to it
      const std::shared_ptr<TaskRecord> task = std::move(queue_.begin()->second);
      queue_.erase(queue_.begin());
      task->result = fail(Code::Device, "cannot start a thread: {}", e.what());
      task->is_done = true;
      change_.notify_all();
      return;
    }
  }
  work_.notify_all();
}

void TaskPool::wait(const TaskRecord& task, const TaskRecord* self, bool to_the_end) {
  std::unique_lock lock(mutex_);
  const auto is_over = [&] {
    return task.is_done || (!to_the_end && self != nullptr && self->stop.load(std::memory_order_relaxed));
  };
  if (is_over()) return;
  if (self == nullptr) return change_.wait(lock, is_over);
  --running_;
  change_.notify_all();
  dispatch();
  change_.wait(lock, is_over);
  ++resuming_;
  change_.wait(lock, [&] { return running_ < limit_; });
  --resuming_;
  ++running_;
  dispatch();
}

void TaskPool::drop() {
  const std::lock_guard lock(mutex_);
  drops_ = true;
}

void TaskPool::stop(TaskRecord& task) {
  {
    const std::lock_guard lock(mutex_);
    task.stop.store(true, std::memory_order_relaxed);
  }
  change_.notify_all();
}

void TaskPool::work() {
  std::unique_ptr<Executor> executor;  // one for all tasks of this thread: it keeps its plans
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return is_closing_ || (!queue_.empty() && resuming_ == 0 && running_ < limit_); });
    if (is_closing_) {
      if (drops_ && executor != nullptr) executor->drop();
      return;
    }
    const std::shared_ptr<TaskRecord> task = std::move(queue_.begin()->second);
    queue_.erase(queue_.begin());
    --idle_, ++running_;
    lock.unlock();
    run(*task, executor);
    lock.lock();
    task->is_done = true;
    ++idle_, --running_;
    change_.notify_all();
    dispatch();
  }
}

void TaskPool::run(TaskRecord& task, std::unique_ptr<Executor>& executor) {
  if (executor == nullptr) {
    ExecOptions options = host_.executor.options();
    options.checksums_path.clear();  // that file is the program's own
    auto made = Executor::create(host_.executor.device(), std::move(options));
    if (!made.ok()) {
      task.result = std::move(made).error();
      return;
    }
    executor = std::move(made).value();
  }
  executor->recorder().seed(task.seed);
  lang::Host host{.executor = *executor, .out = task.output.out(), .err = task.output.err(), .in = nullptr};
  host.args = host_.args;
  host.interrupts = host_.interrupts;
  host.opened = host_.opened;
  host.stop = &task.stop;
  {
    Vm vm(program_, host, *this, &task);
    task.result = vm.run_task();
    task.trace = vm.trace();
    task.exit_code = vm.exit_code();
  }
  if (!task.result->ok()) executor.reset();  // its stream may have failed
}

// ---- Which globals a function needs -----------------------------------------------------------------------

void TaskPool::scan(const Proto& root, std::vector<bool>& seen, std::vector<bool>& globals) const {
  std::vector<const Proto*> open = {&root};
  const auto visit = [&](int proto) {
    if (proto >= 0) open.push_back(program_.protos[static_cast<size_t>(proto)].get());
  };
  while (!open.empty()) {
    const Proto& proto = *open.back();
    open.pop_back();
    if (seen[proto.index]) continue;
    seen[proto.index] = true;
    for (const Instr& i : proto.code) {
      if (i.op == Op::GetGlobal) globals[static_cast<size_t>(i.wide())] = true;
    }
    for (const ClosureSpec& closure : proto.closures) visit(closure.proto);
    for (const CallSite& site : proto.calls) {
      visit(site.function);
      for (const auto& type : program_.structs) {
        if (const auto it = type->methods.find(site.name); it != type->methods.end()) visit(it->second);
      }
    }
  }
}

std::vector<size_t> TaskPool::globals_of(const Proto& proto) {
  const std::lock_guard lock(mutex_);
  const auto [it, is_new] = globals_.try_emplace(proto.index);
  if (!is_new) return it->second;
  std::vector<bool> seen(program_.protos.size()), globals(program_.globals.size());
  scan(proto, seen, globals);
  for (size_t i = 0; i < globals.size(); ++i) {
    if (globals[i]) it->second.push_back(i);
  }
  return it->second;
}

}  // namespace tl::interp
