// A function that runs on a thread of its own. Values are counted without atomics, so nothing counted is
// shared between threads: what goes into a task and what comes out are copies.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tl/base/result.h"
#include "tl/value/value.h"

namespace tl::lang {

// What the interpreter knows of a task.
struct TaskState {
  virtual ~TaskState() = default;
};

struct Task : ObjectOf<ObjectKind::Task, Container> {
  explicit Task(std::shared_ptr<TaskState> s) : state(std::move(s)) {}
  std::span<Value> items_inside() override {
    return outcome && outcome->ok() ? std::span<Value>(&outcome->value(), 1) : std::span<Value>();
  }
  std::shared_ptr<TaskState> state;           // null: the copy that another task got, which cannot be joined
  std::optional<Result<Value>> outcome = {};  // once it is joined
};

// Copies graphs of objects so that they share nothing with what they are copied from, except what may cross
// threads: tensors, files and tokenizers behind their values. What was one object stays one object.
class Cloner {
 public:
  Result<Value> clone(const Value& value);

  // What the copies hold: tensors, to be submitted before another thread sees them, and functions.
  std::vector<Tensor> tensors;
  std::vector<const Function*> functions;

 private:
  Result<Value> shell(const Value& value);
  Result<Value> new_shell(const Value& value);
  Value open(const Object& from, Object* to);
  Result<void> fill(const Object& from, Object& to);
  Result<void> fill_items(std::span<const Value> from, std::vector<Value>& to);

  std::unordered_map<const Object*, Value> copies_;
  std::vector<std::pair<const Object*, Object*>> open_;  // copies whose insides are not there yet
};

}  // namespace tl::lang
