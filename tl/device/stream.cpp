#include "tl/device/stream.h"

#include <algorithm>
#include <chrono>

#include "tl/base/fail_point.h"
#include "tl/base/narrow.h"

namespace tl {

void Order::add(std::span<const i32> earlier) {
  const i32 self = static_cast<i32>(size());
  for (const i32 e : earlier) {
    TL_CHECK(e >= 0 && e < self, "command {} after {}", self, e);
    earlier_.push_back(e);
  }
  begin_.push_back(static_cast<u32>(earlier_.size()));
}

Order Order::chain(size_t commands) {
  Order order;
  for (size_t i = 0; i < commands; ++i) {
    const i32 before = static_cast<i32>(i) - 1;
    order.add(i == 0 ? std::span<const i32>() : std::span<const i32>(&before, 1));
  }
  return order;
}

Command& Batch::add(const OpDef& op, const Kernel& kernel, std::span<const Operand> inputs,
                    std::span<const Operand> outputs, Attrs attributes) {
  Command& c = commands.emplace_back();
  c.op = &op;
  c.kernel = &kernel;
  c.first_operand = narrow<u32>(operands.size());
  c.inputs = narrow<u8>(inputs.size());
  c.outputs = narrow<u8>(outputs.size());
  c.attrs = narrow<u32>(attrs.size());
  c.first_access = narrow<u32>(accesses.size());
  c.first_foreign = narrow<u32>(foreign.size());
  c.step = static_cast<i32>(commands.size()) - 1;
  operands.insert(operands.end(), inputs.begin(), inputs.end());
  operands.insert(operands.end(), outputs.begin(), outputs.end());
  attrs.push_back(std::move(attributes));
  return c;
}

FailurePtr Batch::blocked_by(const Command& c) const {
  // Of several failures the one of an earlier run, as if all had been one.
  for (u32 i = c.first_foreign; i < c.first_foreign + c.foreign; ++i) {
    if (auto failure = foreign[i].outcome->failure_of(foreign[i].step)) return failure;
  }
  if (outcome && outcome->any_failed()) {
    for (const i32 step : c.producers) {
      if (auto failure = outcome->failure_of(step)) return failure;
    }
  }
  return nullptr;
}

bool Batch::goes_on_here(i64 done) const {
  if (!goes_on(done)) return false;
  if (rounds.stop == nullptr || !*rounds.stop || !(*rounds.stop)()) return true;
  outcome->fail(rounds.last_step, make_failure(interrupted_error()));
  return false;
}

KernelCall Batch::call_of(size_t index) const {
  const Command& c = commands[index];
  KernelCall call;
  call.in = inputs_of(c);
  call.outs = outputs_of(c);
  call.out = call.outs[0];
  call.attrs = &attrs[c.attrs];
  call.kept_bytes = c.kept_bytes;
  return call;
}

void Batch::clear() {
  commands.clear();
  operands.clear();
  attrs.clear();
  accesses.clear();
  clear_run();
}

void Batch::clear_run() {
  foreign.clear();
  after.clear();
  outcome.reset();
  keep.reset();
  rounds = {};
}

std::unique_ptr<Batch> BatchHome::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return nullptr;
  std::unique_ptr<Batch> batch = std::move(free_.back());
  free_.pop_back();
  return batch;
}

void BatchHome::give(std::unique_ptr<Batch> batch) {
  constexpr size_t kKept = 16;  // a loop that never looks has many more on their way
  const std::lock_guard lock(mutex_);
  if (free_.size() < kKept) free_.push_back(std::move(batch));
}

std::unique_ptr<Batch> CommandStream::Recycler::take() {
  std::unique_ptr<Batch> batch = emptied_.take();
  return batch != nullptr ? std::move(batch) : std::make_unique<Batch>();
}

void CommandStream::Recycler::give(std::unique_ptr<Batch> batch) {
  if (batch->home == nullptr) {
    batch->clear();
    return emptied_.give(std::move(batch));
  }
  const std::shared_ptr<BatchHome> home = std::exchange(batch->home, nullptr);
  batch->clear_run();
  home->give(std::move(batch));
}

std::unique_ptr<Batch> CommandStream::take_batch() {
  return recycler_->take();
}

Error command_error(const Batch& batch, const Command& command, std::string_view reason) {
  std::string shapes;
  for (const Operand& o : batch.inputs_of(command)) {
    shapes += fmt::format("{}{}", shapes.empty() ? "" : ", ", to_string(TensorType{o.dtype, o.dims}));
  }
  const std::string_view name = command.op != nullptr ? command.op->name : "command";
  return Error{Code::BadProgram, fmt::format("{}: {} (operands: {})", name, reason, shapes), command.origin};
}

bool fails_on_purpose(const Batch& batch, const Command& command) {
  if (!fail_point::is_active.load(std::memory_order_relaxed)) return false;
  std::vector<std::string_view> names{command.op->name};
  if (command.op->parts != nullptr && command.attrs < batch.attrs.size())
    command.op->parts(batch.attrs[command.attrs], names);
  return must_fail(FailPoint::Command, names);
}

i64 now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Error interrupted_error() {
  return Error{Code::Interrupted, "interrupted"};
}

std::vector<Unordered> find_unordered(const Batch& batch, const Order& order) {
  const size_t n = batch.commands.size(), words = (n + 63) / 64;
  std::vector<u64> before(n * words, 0);  // bit j of row i: i comes after j, directly or not
  std::vector<Unordered> found;
  for (size_t i = 0; i < n; ++i) {
    u64* const row = &before[i * words];
    for (const i32 e : order.after(i)) {
      const size_t j = static_cast<size_t>(e);
      for (size_t w = 0; w < words; ++w) row[w] |= before[j * words + w];
      row[j / 64] |= u64{1} << j % 64;
    }
    for (size_t j = 0; j < i; ++j) {
      if ((row[j / 64] >> j % 64 & 1) != 0) continue;
      const auto conflicts = [&](const Access& a) {
        const auto others = batch.accesses_of(batch.commands[j]);
        return std::any_of(others.begin(), others.end(), [&](const Access& b) { return conflict(a, b); });
      };
      const auto mine = batch.accesses_of(batch.commands[i]);
      if (std::any_of(mine.begin(), mine.end(), conflicts)) found.push_back({j, i});
    }
  }
  return found;
}

}  // namespace tl
