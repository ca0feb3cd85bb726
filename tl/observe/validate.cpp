#include "tl/observe/validate.h"

#include <algorithm>

#include "tl/observe/value_check.h"

namespace tl {
namespace {

constexpr size_t kKeptFreed = 4096;

// The part of an output that a command writes: all of it, or the rows that an append puts behind.
struct Part {
  std::byte* data;
  i64 bytes;
  i64 first_element;
};
Part written_part(const Command& c, const Operand& o) {
  const i64 bytes = row_bytes(o.dtype, o.numel());
  return {o.data + c.kept_bytes, bytes - c.kept_bytes,
          c.kept_bytes > 0 ? c.kept_bytes / size_of(o.dtype) : 0};
}

bool is_input_too(const Batch& batch, const Command& c, const Operand& output) {
  const auto inputs = batch.inputs_of(c);
  return std::any_of(inputs.begin(), inputs.end(), [&](const Operand& in) { return in.data == output.data; });
}

// "[1, 2]" of the element with row-major number `element`.
std::string index_text(i64 element, const Dims& dims) {
  std::vector<i64> index(static_cast<size_t>(dims.size()));
  for (int i = dims.size() - 1; i >= 0; --i) {
    index[static_cast<size_t>(i)] = element % dims[i];
    element /= dims[i];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

}  // namespace

class ValidatingStream : public CommandStream {
 public:
  ValidatingStream(ValidatingDevice& device, std::unique_ptr<CommandStream> inner)
      : device_(device), inner_(std::move(inner)), last_{inner_->id(), 0} {
    const std::lock_guard lock(device_.mutex_);
    device_.knowledge_.forget(id());
  }

  StreamId id() const override { return inner_->id(); }
  Result<PreparedId> prepare(const Order& order) override {
    if (!single_) {
      TL_TRY(single_, inner_->prepare(Order::chain(1)));
    }
    orders_.push_back(order);
    return static_cast<PreparedId>(orders_.size() - 1);
  }
  void release(PreparedId plan) override { orders_[static_cast<size_t>(plan)] = {}; }

  Result<Ticket> replay(PreparedId plan, std::unique_ptr<Batch> batch, Then) override {
    const bool computes = device_.computes();
    {
      const std::lock_guard lock(device_.mutex_);
      if (device_.fault_) return *device_.fault_;
      for (const Ticket t : batch->after) device_.knowledge_.learn(id(), t);
      for (const Unordered& u : find_unordered(*batch, orders_[static_cast<size_t>(plan)])) {
        return device_.note(unordered(batch->commands[u.earlier], batch->commands[u.later]));
      }
    }
    i64 rounds = 0;
    do {
      for (size_t i = 0; i < batch->commands.size(); ++i) TL_TRY_DO(run(*batch, i));
    } while (computes && batch->goes_on_here(++rounds));
    {
      const std::lock_guard lock(device_.mutex_);
      device_.knowledge_.mark(last_);
    }
    recycler_->give(std::move(batch));
    return last_;
  }

  // What another stream does is done for this one when it was told to wait for it.
  bool reached(Ticket ticket) const override {
    if (ticket.stream == id()) return inner_->reached(ticket);
    const std::lock_guard lock(device_.mutex_);
    return device_.knowledge_.knows(id(), ticket);
  }
  bool wait(Ticket ticket, double timeout_seconds) override {
    if (!inner_->wait(ticket, timeout_seconds)) return false;
    const std::lock_guard lock(device_.mutex_);
    device_.knowledge_.learn(id(), ticket);
    return true;
  }
  void wait_by(std::function<Result<void>(Ticket)> waiter) override { waiter_ = std::move(waiter); }
  void cancel() override { inner_->cancel(); }
  Running running() const override { return inner_->running(); }

 private:
  static Error unordered(const Command& earlier, const Command& later) {
    return fault(fmt::format("{} and {} use the same memory, and the plan lets them overlap", later.op->name,
                             earlier.op->name),
                 {later.op->name, later.origin}, fmt::format("{} is the other one", earlier.op->name),
                 {earlier.op->name, earlier.origin});
  }

  // A batch with this command alone.
  std::unique_ptr<Batch> alone(const Batch& batch, size_t index) {
    std::unique_ptr<Batch> one = inner_->take_batch();
    Command c = batch.commands[index];
    const auto operands = batch.operands.begin() + c.first_operand;
    one->operands.assign(operands, operands + c.inputs + c.outputs);
    if (c.attrs < batch.attrs.size()) one->attrs.push_back(batch.attrs[c.attrs]);
    const auto accesses = batch.accesses_of(c);
    one->accesses.assign(accesses.begin(), accesses.end());
    const auto foreign = batch.foreign.begin() + c.first_foreign;
    one->foreign.assign(foreign, foreign + c.foreign);
    if (index == 0) one->after = batch.after;
    one->outcome = batch.outcome;
    one->keep = batch.keep;
    c.first_operand = c.attrs = c.first_access = c.first_foreign = 0;
    one->commands.push_back(c);
    return one;
  }

  Result<void> submit(const Batch& batch, size_t index) {
    TL_TRY(last_, inner_->replay(*single_, alone(batch, index), Then::Waits));
    if (!waiter_) {
      inner_->wait(last_);
      return {};
    }
    Result<void> waited = waiter_(last_);
    if (!waited.ok()) device_.give_up(batch, batch.commands[index], last_);
    return waited;
  }

  Result<void> run(const Batch& batch, size_t index) {
    const Command& c = batch.commands[index];
    if (!c.is_skipped) {
      const std::lock_guard lock(device_.mutex_);
      const u64 next = std::max(last_.value, Timelines::instance().reached_value(id())) + 1;
      if (auto found = device_.look_at(batch, c, {id(), next})) return device_.note(std::move(*found));
    }
    const bool looks = !c.is_skipped && device_.computes();
    if (looks) poison_outputs(batch, c, false);
    TL_TRY_DO(submit(batch, index));
    if (!looks || (batch.outcome && batch.outcome->failure_of(c.step) != nullptr)) return {};
    TL_TRY_DO(check_written(batch, index));
    return check_values(batch, c);
  }

  void poison_outputs(const Batch& batch, const Command& c, bool other) {
    for (const Operand& o : batch.outputs_of(c)) {
      if (o.data == nullptr || (c.kept_bytes == 0 && is_input_too(batch, c, o))) continue;
      const Part part = written_part(c, o);
      poison(o.dtype, part.data, part.bytes, other);
    }
  }

  // An output that looks as if nobody had written it is computed again over another pattern: then it is so.
  Result<void> check_written(const Batch& batch, size_t index) {
    const Command& c = batch.commands[index];
    const auto unwritten = [&](bool other) -> std::optional<std::pair<const Operand*, i64>> {
      for (const Operand& o : batch.outputs_of(c)) {
        if (o.data == nullptr || (c.kept_bytes == 0 && is_input_too(batch, c, o))) continue;
        const Part part = written_part(c, o);
        if (const i64 at = find_unwritten(o.dtype, part.data, part.bytes, other); at >= 0)
          return std::pair(&o, part.first_element + at);
      }
      return std::nullopt;
    };
    if (!unwritten(false)) return {};
    poison_outputs(batch, c, true);
    TL_TRY_DO(submit(batch, index));
    const auto found = unwritten(true);
    if (!found) return {};
    const std::lock_guard lock(device_.mutex_);
    Error error = command_error(
        batch, c,
        fmt::format("did not write its output at {}", index_text(found->second, found->first->dims)));
    error.code = Code::Device;
    add_writers(batch, c, error);
    return device_.note(std::move(error).within("validate"));
  }

  // With the device's mutex held.
  void add_writers(const Batch& batch, const Command& c, Error& error) {
    for (const auto& [input, writer] : device_.writers_of_inputs(batch, c)) {
      error.also.push_back(
          {fmt::format("its input {} was written by {}", input + 1, name_of(writer)), writer.origin});
    }
  }

  // Of NaN and infinities those that appear here, out of numbers. What makes a value without inputs was asked
  // for it.
  Result<void> check_values(const Batch& batch, const Command& c) {
    const auto inputs = batch.inputs_of(c);
    if (inputs.empty()) return {};
    for (const Operand& o : batch.outputs_of(c)) {
      if (o.data == nullptr) continue;
      const Part part = written_part(c, o);
      const std::optional<Odd> odd = find_odd(o.dtype, part.data, part.bytes);
      if (!odd || !is_new(batch, c, *odd)) continue;
      Error error = command_error(
          batch, c,
          fmt::format("gives {} at {}, where its inputs have none", odd->is_nan ? "NaN" : "an infinity",
                      index_text(part.first_element + odd->element, o.dims)));
      const std::lock_guard lock(device_.mutex_);
      add_writers(batch, c, error);
      return device_.note(std::move(error).within("validate"));
    }
    return {};
  }

  static bool is_new(const Batch& batch, const Command& c, const Odd& odd) {
    KernelCall call;
    call.in = batch.inputs_of(c);
    call.outs = batch.outputs_of(c);
    call.out = call.outs[0];
    call.attrs = c.attrs < batch.attrs.size() ? &batch.attrs[c.attrs] : nullptr;
    if (!odd.is_nan && c.op->makes_infinity != nullptr && c.op->makes_infinity(call)) return false;
    return std::none_of(call.in.begin(), call.in.end(),
                        [&](const Operand& in) { return has_odd(in, !odd.is_nan); });
  }

  ValidatingDevice& device_;
  const std::unique_ptr<CommandStream> inner_;
  std::function<Result<void>(Ticket)> waiter_;
  std::optional<PreparedId> single_;
  std::vector<Order> orders_;
  Ticket last_;
};

// --- The device ---

std::optional<Error> validation_fault(const Device& device) {
  const auto* validating = dynamic_cast<const ValidatingDevice*>(&device);
  return validating != nullptr ? validating->first_fault() : std::nullopt;
}

ValidatingDevice::~ValidatingDevice() = default;

std::optional<Error> ValidatingDevice::first_fault() const {
  const std::lock_guard lock(mutex_);
  return fault_;
}

Error ValidatingDevice::note(Error fault) {
  if (!fault_) fault_ = std::move(fault);
  return *fault_;
}

std::shared_ptr<Buffer> ValidatingDevice::wrap(std::shared_ptr<Buffer> inner, const MemoryLabel& label,
                                               bool is_written) {
  auto outer =
      std::make_shared<Buffer>(*this, inner->data(), inner->bytes(), [this](Buffer& b) { let_go(b); });
  outer->is_read_only = inner->is_read_only;
  outer->is_reserved = inner->is_reserved;
  outer->keeps_uses = true;
  const i64 bytes = inner->bytes();
  const std::lock_guard lock(mutex_);
  Held& held =
      held_.emplace(static_cast<u64>(outer->id()), Held{std::move(inner), Shadow(label)}).first->second;
  if (is_written) held.shadow.fill(0, bytes);
  return outer;
}

Result<std::shared_ptr<Buffer>> ValidatingDevice::allocate(i64 bytes, StreamId stream,
                                                           const MemoryLabel& label) {
  TL_TRY(std::shared_ptr<Buffer> inner, inner_->allocate(bytes, stream, label));
  if (computes()) poison(DType::F32, inner->data(), inner->bytes());
  return wrap(std::move(inner), label, false);
}

Result<std::shared_ptr<Buffer>> ValidatingDevice::reserve(i64 bytes, const MemoryLabel& label) {
  TL_TRY(std::shared_ptr<Buffer> inner, inner_->reserve(bytes, label));
  return wrap(std::move(inner), label, false);
}

Result<std::shared_ptr<Buffer>> ValidatingDevice::fork(Buffer& from, i64 kept_bytes, i64 bytes,
                                                       const MemoryLabel& label) {
  std::shared_ptr<Buffer> source;
  {
    const std::lock_guard lock(mutex_);
    source = held_.at(static_cast<u64>(from.id())).buffer;
  }
  from.share(kept_bytes);
  TL_TRY(std::shared_ptr<Buffer> inner, inner_->fork(*source, kept_bytes, bytes, label));
  const i64 inherited = inner->inherited_bytes;
  std::shared_ptr<Buffer> outer = wrap(std::move(inner), label, false);
  outer->inherited_bytes = inherited;
  outer->shared_bytes = inherited;
  const std::lock_guard lock(mutex_);
  held_.at(static_cast<u64>(outer->id())).shadow.fill(0, inherited);
  return outer;
}

Result<void> ValidatingDevice::commit(Buffer& buffer, i64 bytes) {
  std::shared_ptr<Buffer> inner;
  {
    const std::lock_guard lock(mutex_);
    inner = held_.at(static_cast<u64>(buffer.id())).buffer;
  }
  return inner_->commit(*inner, bytes);
}

Result<std::shared_ptr<Buffer>> ValidatingDevice::import_host(std::span<const std::byte> bytes,
                                                              std::shared_ptr<void> owner) {
  TL_TRY(std::shared_ptr<Buffer> inner, inner_->import_host(bytes, std::move(owner)));
  return wrap(std::move(inner), {"a mapped file", {}, {}}, true);
}

Result<void> ValidatingDevice::upload(Buffer& to, i64 offset, std::span<const std::byte> bytes) {
  TL_TRY_DO(inner_->upload(to, offset, bytes));
  const std::lock_guard lock(mutex_);
  held_.at(static_cast<u64>(to.id())).shadow.fill(offset, offset + static_cast<i64>(bytes.size()));
  return {};
}

Result<void> ValidatingDevice::download(const Buffer& from, i64 offset, std::span<std::byte> bytes) {
  {
    const std::lock_guard lock(mutex_);
    const Shadow& shadow = held_.at(static_cast<u64>(from.id())).shadow;
    if (!shadow.is_written(offset, offset + static_cast<i64>(bytes.size()))) {
      return note(fault("the host reads a tensor that nobody has written",
                        {shadow.label().what, shadow.label().origin},
                        fmt::format("the memory is of {}", shadow.label().what),
                        {shadow.label().what, shadow.label().origin}));
    }
  }
  return inner_->download(from, offset, bytes);
}

std::unique_ptr<CommandStream> ValidatingDevice::create_stream() {
  return std::make_unique<ValidatingStream>(*this, inner_->create_stream());
}

void ValidatingDevice::give_up(const Batch& batch, const Command& c, Ticket ticket) {
  const std::lock_guard lock(mutex_);
  for (const Access& access : batch.accesses_of(c)) {
    const auto held = held_.find(static_cast<u64>(access.buffer));
    if (held != held_.end()) held->second.given_up.push_back(ticket);
  }
}

// Memory goes back with its uses. One that was not noted could be handed to somebody else too early.
void ValidatingDevice::let_go(Buffer& outer) {
  std::shared_ptr<Buffer> inner;
  {
    const std::lock_guard lock(mutex_);
    const auto it = held_.find(static_cast<u64>(outer.id()));
    inner = it->second.buffer;
    for (const Ticket use : it->second.given_up) outer.note_use(use);
    const Shadow& shadow = it->second.shadow;
    Toucher last;
    for (const Toucher& t : shadow.last()) {
      last = t;
      if (outer.last_use(t.stream).value >= t.value || outer.is_read_only) continue;
      (void)note(
          fault(fmt::format("memory is let go of while {} may still be at work in it", t.what), t,
                fmt::format("it was made for {} {}", shadow.label().what, to_string(shadow.label().type)),
                {shadow.label().what, shadow.label().origin}));
    }
    freed_.push_back({outer.id(), shadow.label(), last});
    if (freed_.size() > kKeptFreed) freed_.pop_front();
    held_.erase(it);
  }
  const std::vector<Ticket> uses = outer.uses();
  for (const Ticket use : uses) inner->note_use(use);
  const bool is_at_work =
      std::any_of(uses.begin(), uses.end(), [](Ticket t) { return !Timelines::instance().reached(t); });
  if (computes() && !is_at_work && !inner->is_read_only && !inner->is_reserved)
    poison(DType::F32, inner->data(), inner->bytes());
}

std::optional<Error> ValidatingDevice::use_after_free(BufferId id, const Toucher& by) const {
  for (auto it = freed_.rbegin(); it != freed_.rend(); ++it) {
    if (it->id != id) continue;
    const Toucher& last = it->last.what.empty() ? Toucher{it->label.what, it->label.origin} : it->last;
    return fault(fmt::format("{} uses memory that was let go of", by.what), by,
                 fmt::format("{} had it last", name_of(last)), last);
  }
  return fault(fmt::format("{} uses memory that is no tensor's", by.what), by,
               "it is the only one to name it", by);
}

std::optional<Error> ValidatingDevice::look_at(const Batch& batch, const Command& c, Ticket ticket) {
  const Toucher by{c.op->name, c.origin, ticket.stream, ticket.value, batch.outcome, c.step};
  std::optional<Error> found;
  const auto look = [&](Access::Mode mode) {
    for (const Access& access : batch.accesses_of(c)) {
      if (found || access.mode != mode) continue;
      const auto held = held_.find(static_cast<u64>(access.buffer));
      if (held == held_.end()) {
        found = use_after_free(access.buffer, by);
        continue;
      }
      Shadow& shadow = held->second.shadow;
      found = mode == Access::Mode::Read ? shadow.read(access, by, knowledge_)
                                         : shadow.write(access, by, knowledge_);
    }
  };
  look(Access::Mode::Read);
  look(Access::Mode::Write);
  return found;
}

std::vector<std::pair<int, Toucher>> ValidatingDevice::writers_of_inputs(const Batch& batch,
                                                                         const Command& c) {
  std::vector<std::pair<int, Toucher>> writers;
  const auto inputs = batch.inputs_of(c);
  size_t access = c.first_access;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].data == nullptr || access >= c.first_access + c.accesses) continue;
    const Access& read = batch.accesses[access++];
    const auto held = held_.find(static_cast<u64>(read.buffer));
    if (held == held_.end()) continue;
    if (const auto writer = held->second.shadow.writer_at(read.offset_bytes))
      writers.emplace_back(static_cast<int>(i), *writer);
  }
  return writers;
}

}  // namespace tl
