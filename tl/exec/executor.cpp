#include "tl/exec/executor.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <unordered_map>

#include "tl/base/hash.h"
#include "tl/exec/binding.h"
#include "tl/exec/checksum.h"
#include "tl/exec/planner.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

constexpr int kCommandsPerBatch =
    100;  // measured: below 50 hand-over shows, above 200 the first command waits
constexpr size_t kMaxPlans = 1024;

void note_read(CommandStream& stream, Buffer& buffer, Ticket ticket) {
  for (Ticket& t : buffer.reads) {
    if (t.stream == ticket.stream) {
      t = ticket;
      return;
    }
  }
  if (buffer.reads.size() == buffer.reads.capacity()) {
    const Result<void> done = stream.wait(buffer.reads[0]);  // its failure is its own stream's to report
    (void)done.ok();
    buffer.reads.erase(0);
  }
  buffer.reads.push_back(ticket);
}

// A random order in which no command comes before one it conflicts with.
std::vector<size_t> legal_order(std::span<const Command> commands, std::mt19937_64& random) {
  std::vector<std::vector<size_t>> users(commands.size());
  std::vector<size_t> waiting_for(commands.size(), 0), ready, order;
  for (size_t i = 0; i < commands.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      bool conflicts = false;
      for (const Access& a : commands[i].accesses) {
        for (const Access& b : commands[j].accesses) conflicts |= conflict(a, b);
      }
      if (!conflicts) continue;
      users[j].push_back(i);
      ++waiting_for[i];
    }
    if (waiting_for[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const size_t pick = random() % ready.size();
    const size_t next = ready[pick];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    order.push_back(next);
    for (const size_t user : users[next]) {
      if (--waiting_for[user] == 0) ready.push_back(user);
    }
  }
  return order;
}

i64 physical_memory_bytes() {
  return i64{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
}

struct FileCloser {
  void operator()(std::FILE* f) const { std::fclose(f); }
};

}  // namespace

struct Executor::Impl {
  std::unique_ptr<CommandStream> stream;
  std::unordered_map<u64, std::vector<std::unique_ptr<Plan>>> plans;
  size_t plan_count = 0;
  Ticket last;
  std::mt19937_64 shuffle;
  std::unique_ptr<std::FILE, FileCloser> checksums;

  Plan& plan_for(Executor& e, const Snapshot& s) {
    const u64 hash = hash_bytes(s.key.data(), s.key.size() * sizeof(u64));
    for (const auto& plan : plans[hash]) {
      if (plan->key == s.key) {
        ++e.stats_.plans_reused;
        return *plan;
      }
    }
    if (plan_count >= kMaxPlans) {  // a program that never repeats itself must not grow
      plans.clear();
      plan_count = 0;
    }
    const int per_batch = e.options_.eager                    ? 1
                          : e.options_.commands_per_batch > 0 ? e.options_.commands_per_batch
                                                              : kCommandsPerBatch;
    plans[hash].push_back(make_plan(s, e.device_,
                                    {.commands_per_batch = per_batch,
                                     .fuse = e.options_.fuse && !checksums,
                                     .share_memory = !checksums}));
    ++plan_count;
    ++e.stats_.plans_made;
    return *plans[hash].back();
  }

  // One batch of a plan: bound, then queued. Debugging orders go through submit, which finds the hazards
  // itself.
  Result<void> submit_batch(Executor& e, Plan& plan, Binding& binding, size_t batch) {
    const i32 first = batch == 0 ? 0 : plan.batch_ends[batch - 1], last_step = plan.batch_ends[batch];
    std::vector<Command> commands;
    commands.reserve(static_cast<size_t>(last_step - first));
    for (i32 i = first; i < last_step; ++i) commands.push_back(binding.command(static_cast<size_t>(i)));
    e.stats_.commands += commands.size();
    ++e.stats_.batches;
    if (e.options_.shuffle) {
      std::vector<Command> shuffled;
      for (const size_t i : legal_order(commands, shuffle)) shuffled.push_back(std::move(commands[i]));
      TL_TRY(last, stream->submit(std::move(shuffled)));
    } else if (e.options_.eager) {
      TL_TRY(last, stream->submit(std::move(commands)));
      TL_TRY_DO(stream->wait(last));
    } else {
      if (plan.prepared.size() == batch) {
        TL_TRY(const PreparedId id, stream->prepare(commands));
        plan.prepared.push_back(id);
      }
      TL_TRY(last, stream->replay(plan.prepared[batch], std::move(commands)));
    }
    return {};
  }

  Result<void> evaluate(Executor& e, Snapshot& s) {
    if (s.items.empty()) return {};
    Plan& plan = plan_for(e, s);
    for (const Step& step : plan.steps) {
      if (e.device_.kernel(*step.op).run == nullptr) {
        return fail(Code::Unsupported, "{} does not run on {} yet", step.op->name, e.device_.info().name);
      }
    }
    Binding binding(e.device_, *stream, s, plan);
    TL_TRY_DO(binding.allocate());
    s.granted.clear();  // from here on the appended rows are ours
    e.stats_.nodes += s.items.size();
    for (size_t batch = 0; batch < plan.batch_ends.size(); ++batch) {
      TL_TRY_DO(submit_batch(e, plan, binding, batch));
    }
    if (checksums) TL_TRY_DO(write_checksums(e, s, plan, binding));  // settling frees what nobody holds
    settle(s, plan, binding);
    return {};
  }

  // Every evaluated node gets its place, and lets go of what it was computed from.
  void settle(Snapshot& s, const Plan& plan, const Binding& binding) {
    for (const Tensor& leaf : s.leaves) {
      if (leaf->value.buffer) note_read(*stream, *leaf->value.buffer, last);
    }
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      if (const auto& buffer = binding.output(i)) buffer->last_write = last;
    }
    std::vector<Tensor> keep;  // nodes must not die while the list of items is walked
    keep.reserve(s.items.size());
    for (size_t i = 0; i < s.items.size(); ++i) {
      Node& node = *s.items[i].node;
      keep.emplace_back(&node);
      if (s.items[i].external) {
        node.value = binding.value_of(static_cast<i32>(i));
        if (node.op->kind == OpKind::Append && s.items[i].alias) node.value.buffer->last_write = last;
      }
    }
    for (const SnapshotItem& item : s.items) {
      item.node->state = NodeState::Submitted;
      item.node->recorder->remove(*item.node);
      item.node->inputs.clear();
    }
  }

  Result<void> write_checksums(Executor& e, const Snapshot& s, const Plan& plan, const Binding& binding) {
    TL_TRY_DO(stream->wait(last));
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      const Step& step = plan.steps[i];
      if (step.is_conversion || step.kind == Step::Kind::Copy) continue;
      const Node& node = *s.items[static_cast<size_t>(step.node)].node;
      HostTensor host{node.type, {}};
      host.bytes.resize(static_cast<size_t>(row_bytes(node.type.dtype, tl::numel(node.type.shape))));
      const Value value = binding.value_of(step.node);
      TL_TRY_DO(e.device_.download(*value.buffer, 0, host.bytes));
      const int written = std::fprintf(checksums.get(), "%s %s %s\n", std::string(step.op->name).c_str(),
                                       to_string(node.type).c_str(), checksum_hex(checksum(host)).c_str());
      if (written < 0)
        return fail(Code::Io, "cannot write {}: {}", e.options_.checksums_path, std::strerror(errno));
    }
    if (std::fflush(checksums.get()) != 0) {
      return fail(Code::Io, "cannot write {}: {}", e.options_.checksums_path, std::strerror(errno));
    }
    return {};
  }
};

Executor::Executor(Device& device, ExecOptions options)
    : device_(device), options_(std::move(options)), impl_(std::make_unique<Impl>()) {
  impl_->stream = device.create_stream();
  if (options_.shuffle) impl_->shuffle.seed(*options_.shuffle);
}

// Work nobody looked at is dropped, but what was submitted has to end before its memory goes.
Executor::~Executor() {
  const Result<void> done = impl_->stream->wait(impl_->last);
  (void)done.ok();
}

Result<std::unique_ptr<Executor>> Executor::create(Device& device, ExecOptions options) {
  std::unique_ptr<Executor> e(new Executor(device, std::move(options)));
  if (!e->options_.checksums_path.empty()) {
    e->impl_->checksums.reset(std::fopen(e->options_.checksums_path.c_str(), "w"));
    if (!e->impl_->checksums) {
      return fail(Code::Io, "cannot write {}: {}", e->options_.checksums_path, std::strerror(errno));
    }
  }
  return e;
}

Result<Tensor> Executor::apply(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Span origin) {
  std::array<Tensor, kMaxInputs> given;
  if (op.kind == OpKind::View && inputs[0]->is_scalar) {  // a view needs memory to look at
    TL_TRY(given[0], materialise(inputs[0]));
    inputs = {given.data(), 1};
  }
  TL_TRY(Tensor result, recorder_.record(op, inputs, std::move(attrs), origin));
  if (recorder_.pending_count() >= options_.pending_hard_limit) TL_TRY_DO(flush());
  return result;
}

Result<Tensor> Executor::materialise(const Tensor& scalar) {
  u64 bits = 0;
  if (is_float(scalar.dtype())) {
    store_from_double(scalar.dtype(), &bits, 0, scalar->scalar);
  } else {
    store_from_int(scalar.dtype(), &bits, 0, scalar->scalar_int);
  }
  const auto bytes = std::as_bytes(std::span(&bits, 1)).first(static_cast<size_t>(size_of(scalar.dtype())));
  return from_host(scalar.type(), bytes);
}

Result<void> Executor::submit(std::span<const Tensor> roots) {
  bool pending = false;
  for (const Tensor& t : roots) {
    if (t->state == NodeState::Failed) return Error(*t->failure);
    pending |= t->state == NodeState::Pending;
  }
  return pending ? run(roots) : Result<void>();
}

Result<void> Executor::flush() {
  return recorder_.pending_count() > 0 ? run({}) : Result<void>();
}

Result<void> Executor::run(std::span<const Tensor> roots) {
  TL_TRY(Snapshot s, take_snapshot(recorder_, roots));
  Result<void> done = impl_->evaluate(*this, s);
  if (!done.ok()) s.undo_grants();
  return done;
}

Result<void> Executor::loop_point() {
  return recorder_.pending_count() >= options_.pending_soft_limit ? flush() : Result<void>();
}

Result<void> Executor::wait(const Tensor& tensor) {
  TL_TRY_DO(submit({&tensor, 1}));
  if (tensor->value.buffer == nullptr) return {};
  return impl_->stream->wait(tensor->value.buffer->last_write);
}

Result<void> Executor::finish() {
  return impl_->stream->wait(impl_->last);
}

Result<HostTensor> Executor::read(const Tensor& tensor) {
  if (is_quantised(tensor.dtype())) {
    TL_TRY(const Tensor expanded, apply(op_dequantize, {tensor}));
    return read(expanded);
  }
  HostTensor host{tensor.type(), {}};
  const i64 n = tl::numel(tensor.shape()), size = size_of(tensor.dtype());
  if (n > physical_memory_bytes() / size) {
    return fail(Code::OutOfMemory, "the values of {} are more than this machine's memory holds",
                to_string(tensor.type()));
  }
  host.bytes.resize(static_cast<size_t>(n * size));
  if (tensor->is_scalar) {
    if (is_float(tensor.dtype())) {
      store_from_double(tensor.dtype(), host.bytes.data(), 0, tensor->scalar);
    } else {
      store_from_int(tensor.dtype(), host.bytes.data(), 0, tensor->scalar_int);
    }
    return host;
  }
  TL_TRY_DO(wait(tensor));
  const Value& value = tensor->value;
  if (is_contiguous(tensor.shape(), value.strides)) {
    TL_TRY_DO(device_.download(*value.buffer, value.offset * size, host.bytes));
    return host;
  }
  TL_TRY(const Tensor packed, apply(op_contiguous, {tensor}));
  return read(packed);
}

static Result<HostTensor> read_one(Executor& e, const Tensor& tensor) {
  if (tl::numel(tensor.shape()) != 1) {
    return fail(Code::BadProgram, "found {} elements {}, want exactly one", tl::numel(tensor.shape()),
                to_string(tensor.shape()));
  }
  return e.read(tensor);
}

Result<double> Executor::item(const Tensor& tensor) {
  TL_TRY(const HostTensor host, read_one(*this, tensor));
  return host.as_double(0);
}

Result<i64> Executor::item_int(const Tensor& tensor) {
  TL_TRY(const HostTensor host, read_one(*this, tensor));
  return host.as_int(0);
}

// Uploads never reuse a stream's own memory, which may still be in flight: they have a list of their own
// (stream 0).
Result<Tensor> Executor::from_host(TensorType type, std::span<const std::byte> bytes) {
  TL_CHECK(static_cast<i64>(bytes.size()) == row_bytes(type.dtype, tl::numel(type.shape)), "{} bytes for {}",
           bytes.size(), to_string(type));
  TL_TRY(auto buffer, device_.allocate(static_cast<i64>(bytes.size()), StreamId{}));
  TL_TRY_DO(device_.upload(*buffer, 0, bytes));
  Value value{std::move(buffer), contiguous_strides(type.shape), 0};
  return constant(std::move(type), std::move(value));
}

Result<Tensor> Executor::reserved(DType dtype, const Shape& row, i64 capacity) {
  i64 bytes = 0;
  if (__builtin_mul_overflow(row_bytes(dtype, tl::numel(row)), capacity, &bytes)) {
    return fail(Code::OutOfMemory, "{} rows of {} are more than any memory holds", capacity, to_string(row));
  }
  TL_TRY(auto buffer, device_.reserve(bytes));
  TensorType type{dtype, row};
  type.shape.insert(0, 0);
  Value value{std::move(buffer), contiguous_strides(type.shape), 0};
  return constant(std::move(type), std::move(value));
}

}  // namespace tl
