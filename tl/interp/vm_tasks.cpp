// Tasks as the one sees them that spawns them, and as they see themselves.
#include "tl/interp/tasks.h"
#include "tl/interp/vm.h"

namespace tl::interp {

using lang::ObjectKind;

constexpr int kMaxTaskDepth = 256;  // tasks that spawn tasks: each level may hold threads that wait
constexpr size_t kTasksAhead = 64;  // of par_map: copies of its items that exist at once

// The copies that a task works on. The cloner is gone, and with it its references, before the task's thread
// begins.
Result<void> Vm::pack(const Value& function, std::span<const Value> args, TaskRecord& task) {
  const lang::Heap::Scope scope(task.heap);
  lang::Cloner cloner;
  TL_TRY(task.function, cloner.clone(function));
  for (const Value& arg : args) {
    TL_TRY(Value copy, cloner.clone(arg));
    task.args.push_back(std::move(copy));
  }
  // The globals that its functions look at, where more functions may lie.
  std::vector<bool> has(globals_.size());
  for (size_t i = 0; i < cloner.functions.size(); ++i) {
    for (const size_t global : tasks_.globals_of(*static_cast<const Proto*>(cloner.functions[i]->code))) {
      if (has[global]) continue;
      has[global] = true;
      TL_TRY(Value copy, cloner.clone(globals_[global]));
      task.globals.emplace_back(global, std::move(copy));
    }
  }
  // Interpreted or replayed, here or there: what is wrong with them, whoever looks at them is told.
  return host_.executor.submit(cloner.tensors, Executor::IfUnseen::Drop);
}

Result<std::shared_ptr<TaskRecord>> Vm::start(const Value& function, std::span<const Value> args) {
  if (!function.is(ObjectKind::Function) && !function.is(ObjectKind::Builtin))
    return fail(Code::BadProgram, "{} cannot be called", type_name(function));
  auto task = std::make_shared<TaskRecord>();
  task->depth = self_ != nullptr ? self_->depth + 1 : 1;
  if (task->depth > kMaxTaskDepth)
    return fail(Code::BadProgram, "tasks spawn tasks more than {} deep", kMaxTaskDepth);
  TL_TRY_DO(pack(function, args, *task));
  task->seed = host_.executor.recorder().substream();
  children_.push_back(task);
  tasks_.start(task);
  return task;
}

Result<Value> Vm::spawn(const Value& function, std::span<const Value> args) {
  auto task = start(function, args);
  if (!task.ok()) return std::move(task).error().within("spawn");
  return Value(new lang::Task(std::move(task).value()));
}

// Waits for a task of ours; it is no child afterwards.
Result<Value> Vm::finish(TaskRecord& task) {
  TL_TRY_DO(host_.out.flush());
  tasks_.wait(task, self_);
  if (!go_on()) return error_;
  std::erase_if(children_, [&](const auto& child) { return child.get() == &task; });
  TL_TRY_DO(task.output.show(host_));
  if (task.exit_code) ctx_.exit_code = task.exit_code;
  heap_.adopt(task.heap);
  if (!task.result->ok()) trace_.insert(trace_.end(), task.trace.begin(), task.trace.end());
  return std::move(*task.result);
}

Result<Value> Vm::join(const Value& value) {
  lang::Task& task = value.as<lang::Task>();
  if (!task.outcome) {
    if (task.state == nullptr)
      return fail(Code::BadProgram, "join: a task is joined by the one that spawned it");
    task.outcome = finish(static_cast<TaskRecord&>(*task.state));
    task.state.reset();
  }
  return *task.outcome;
}

Result<Value> Vm::par_map(std::span<const Value> items, const Value& function) {
  const size_t ahead = std::max(kTasksAhead, 4 * tasks_.limit()), first = children_.size();
  std::vector<std::shared_ptr<TaskRecord>> started;
  std::vector<Value> out;
  const auto one = [&](size_t i) -> Result<void> {
    while (started.size() < std::min(items.size(), i + ahead)) {
      TL_TRY(auto task, start(function, items.subspan(started.size(), 1)));
      started.push_back(std::move(task));
    }
    const std::shared_ptr<TaskRecord> task = std::move(started[i]);
    TL_TRY(Value result, finish(*task));
    out.push_back(std::move(result));
    return {};
  };
  for (size_t i = 0; i < items.size(); ++i) {
    if (auto done = one(i); !done.ok()) {
      abandon(first);
      return std::move(done).error();
    }
  }
  return lang::make_list(std::move(out));
}

Result<void> Vm::finish_tasks() {
  while (!children_.empty()) {
    const std::shared_ptr<TaskRecord> task = children_.front();
    task->result = finish(*task);  // a variable that outlives this run may be joined in a later one
    if (!task->result->ok()) return task->result->error();
  }
  return {};
}

void Vm::abandon(size_t first) {
  for (size_t i = first; i < children_.size(); ++i) tasks_.stop(*children_[i]);
  for (size_t i = first; i < children_.size(); ++i) tasks_.wait(*children_[i], self_, true);
  children_.resize(std::min(first, children_.size()));
}

Result<Value> Vm::run_task() {
  heap_.adopt(self_->heap);
  for (auto& [global, value] : self_->globals) globals_[global] = std::move(value);
  const Value function = std::move(self_->function);
  const std::vector<Value> args = std::move(self_->args);
  self_->globals.clear();
  if (stack_ == nullptr) return fail(Code::OutOfMemory, "no memory for the stack of a task");
  if (!go_on()) return error_;
  TL_TRY(const Value result, call_back(function, args));
  TL_TRY_DO(finish_tasks());
  const lang::Heap::Scope scope(self_->heap);
  lang::Cloner cloner;
  TL_TRY(Value copy, cloner.clone(result));
  TL_TRY_DO(host_.executor.submit(cloner.tensors, Executor::IfUnseen::Drop));
  for (const Tensor& tensor : cloner.tensors) TL_TRY_DO(host_.executor.wait(tensor));
  TL_TRY_DO(host_.executor.finish());
  return copy;
}

}  // namespace tl::interp
