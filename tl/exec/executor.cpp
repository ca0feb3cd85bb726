#include "tl/exec/executor.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <random>
#include <unordered_map>

#include "tl/base/fail_point.h"
#include "tl/base/hash.h"
#include "tl/exec/checksum.h"
#include "tl/exec/planner.h"
#include "tl/exec/trace.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

constexpr int kCommandsPerBatch =
    100;  // measured: below 50 hand-over shows, above 200 the first command waits
constexpr size_t kMaxPlans = 1024;
// Work handed over and not done: whoever would pass this waits, so that a loop that never looks does not
// grow.
constexpr i64 kMaxQueuedCommands = 8192;
constexpr i64 kMaxQueuedBytes = i64{4} << 30;
// Where it is finished after a cancel, whoever comes next waits for it: two decode steps of a model, no more.
constexpr i64 kMaxQueuedToFinish = 2048;
constexpr double kPollSeconds = 0.01;  // how often a wait looks whether it is to be cancelled

// The commands of `batch` in a random order in which each comes after those it must come after.
void shuffle_commands(Batch& batch, const Order& order, std::mt19937_64& random) {
  const size_t n = batch.commands.size();
  std::vector<std::vector<size_t>> users(n);
  std::vector<size_t> waiting_for(n, 0), ready;
  for (size_t i = 0; i < n; ++i) {
    for (const i32 e : order.after(i)) users[static_cast<size_t>(e)].push_back(i);
    waiting_for[i] = order.after(i).size();
    if (waiting_for[i] == 0) ready.push_back(i);
  }
  std::vector<Command> shuffled;
  while (!ready.empty()) {
    const size_t pick = random() % ready.size();
    const size_t next = ready[pick];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    shuffled.push_back(batch.commands[next]);
    for (const size_t user : users[next]) {
      if (--waiting_for[user] == 0) ready.push_back(user);
    }
  }
  TL_CHECK(shuffled.size() == n, "an order with a circle");
  batch.commands = std::move(shuffled);
}

i64 physical_memory_bytes() {
  return i64{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
}

struct FileCloser {
  void operator()(std::FILE* f) const { std::fclose(f); }
};

}  // namespace

static std::atomic<bool> is_any_stuck{false};

bool Executor::any_stuck() {
  return is_any_stuck.load();
}

struct Executor::Impl {
  std::unique_ptr<CommandStream> stream;
  ExecObserver* observer = nullptr;
  HostPhase phase = HostPhase::Record;
  i64 phase_since = now_ns();
  bool is_stuck = false;  // a wait took too long
  std::unordered_map<u64, std::vector<std::shared_ptr<Plan>>> plans;
  size_t plan_count = 0;
  u64 plan_epoch = 1;  // rises when plans are forgotten
  Ticket last;
  std::mt19937_64 shuffle;
  std::unique_ptr<std::FILE, FileCloser> checksums;
  std::function<bool()> cancel_check;
  OnCancel on_cancel = OnCancel::Drop;

  // Batches that were handed over and may not be done.
  struct InFlight {
    Ticket ticket;
    i64 commands, bytes;
  };
  std::deque<InFlight> in_flight;
  i64 queued_commands = 0, queued_bytes = 0;
  // Runs whose end nobody has seen: their failures must not be lost.
  struct Unseen {
    Ticket ticket;
    std::shared_ptr<const Outcome> outcome;
  };
  std::deque<Unseen> unseen;
  bool is_for_replay = false;  // failures of what is submitted are nobody's yet
  // The wait of an eager step that failed. Told when all of the run is handed over: a run that stopped half
  // way would leave inputs that are written over, and memory that nobody knows to be in use.
  Result<void> given_up;

  // From now on the thread is in `next`; gives what it was in.
  HostPhase enter(HostPhase next) {
    const HostPhase before = std::exchange(phase, next);
    if (observer == nullptr) return before;
    const i64 now = now_ns();
    observer->was_in(before, std::exchange(phase_since, now), now);
    return before;
  }

  std::shared_ptr<Plan> plan_for(Executor& e, const Snapshot& s) {
    const u64 hash = hash_bytes(s.key.data(), s.key.size() * sizeof(u64));
    for (const auto& plan : plans[hash]) {
      if (plan->key == s.key) {
        ++e.stats_.plans_reused;
        return plan;
      }
    }
    if (plan_count >= kMaxPlans) forget_plans();  // a program that never repeats itself must not grow
    const int per_batch = e.options_.eager                    ? 1
                          : e.options_.commands_per_batch > 0 ? e.options_.commands_per_batch
                                                              : kCommandsPerBatch;
    plans[hash].push_back(make_plan(s, e.device_,
                                    {.commands_per_batch = per_batch,
                                     .fuse = e.options_.fuse && !checksums,
                                     .share_memory = !checksums}));
    ++plan_count;
    ++e.stats_.plans_made;
    return plans[hash].back();
  }

  void forget_plans() {
    for (const auto& [hash, list] : plans) {
      for (const auto& plan : list) {
        for (const PreparedId id : plan->prepared) stream->release(id);
      }
    }
    plans.clear();
    plan_count = 0;
    ++plan_epoch;
  }

  // Blocks until `ticket`, or until the program is to stop.
  Result<void> wait_for(const Executor& e, Ticket ticket) {
    if (stream->reached(ticket)) return {};
    const HostPhase before = enter(HostPhase::Wait);
    Result<void> done = wait_long(e, ticket);
    enter(before);
    return done;
  }

  Result<void> wait_long(const Executor& e, Ticket ticket) {
    const i64 start = now_ns();
    while (!stream->wait(ticket, kPollSeconds)) {
      if (cancel_check && cancel_check()) {
        if (on_cancel == OnCancel::Drop) {
          stream->cancel();
          stream->wait(last);
        }
        return interrupted_error();
      }
      const double seconds = static_cast<double>(now_ns() - start) * 1e-9;
      if (e.options_.wait_timeout_seconds > 0 && seconds > e.options_.wait_timeout_seconds) {
        const CommandStream::Running running = stream->running();
        is_stuck = true;
        return fail(Code::Device, "waited {:.3g} s: {} is not done (TL_WAIT_TIMEOUT)", seconds,
                    running.op != nullptr ? running.op->name : "work of another stream")
            .at(running.origin);
      }
    }
    return {};
  }

  void drop_done() {
    while (!in_flight.empty() && stream->reached(in_flight.front().ticket)) {
      queued_commands -= in_flight.front().commands;
      queued_bytes -= in_flight.front().bytes;
      in_flight.pop_front();
    }
    // One failure that nobody has seen is enough to end the program with.
    while (!unseen.empty() && stream->reached(unseen.front().ticket)) {
      if (unseen.front().outcome->unseen() != nullptr) {
        if (unseen.size() < 2 || !stream->reached(unseen[1].ticket)) break;
        unseen.erase(unseen.begin() + 1);
        continue;
      }
      unseen.pop_front();
    }
  }

  // The queue is bounded: waits until there is room.
  Result<void> make_room(const Executor& e) {
    drop_done();
    const i64 most = on_cancel == OnCancel::Finish ? kMaxQueuedToFinish : kMaxQueuedCommands;
    while (!in_flight.empty() && (queued_commands > most || queued_bytes > kMaxQueuedBytes)) {
      TL_TRY_DO(wait_for(e, in_flight.front().ticket));
      drop_done();
    }
    return {};
  }

  // One batch of a plan: filled, then queued.
  Result<void> submit_batch(Executor& e, Plan& plan, Run& run, size_t index, Then then) {
    std::unique_ptr<Batch> batch = run.fill(index);
    const Order& order = plan.orders[index];
    const i64 commands = static_cast<i64>(batch->commands.size());
    e.stats_.commands += static_cast<u64>(commands);
    ++e.stats_.batches;
    if (plan.prepared.size() == index) {
      TL_TRY(const PreparedId id, e.options_.shuffle ? stream->prepare(Order::chain(batch->commands.size()))
                                                     : stream->prepare(order));
      plan.prepared.push_back(id);
    }
    if (e.options_.shuffle) shuffle_commands(*batch, order, shuffle);
    TL_TRY(last, stream->replay(plan.prepared[index], std::move(batch), then));
    run.submitted(index, last);
    in_flight.push_back({last, commands, run.bytes_written(index)});
    queued_commands += commands;
    queued_bytes += run.bytes_written(index);
    if (e.options_.eager && given_up.ok()) given_up = wait_for(e, last);
    return {};
  }

  Result<void> evaluate(Executor& e, Snapshot& s, Then then) {
    if (s.items.empty()) return {};
    TL_TRY_DO(make_room(e));
    const std::shared_ptr<Plan> plan = plan_for(e, s);
    enter(HostPhase::Submit);
    if (observer != nullptr) observer->runs(*plan, s);
    if (plan->missing != nullptr) {
      return fail(Code::Unsupported, "{} does not run on {} yet", plan->missing->name, e.device_.info().name);
    }
    Run run(e.device_, *stream, s, plan);
    i32 culprit = -1;
    if (Result<void> done = run.allocate(culprit); !done.ok()) {
      // The value that does not fit has failed; the others can still be computed.
      const i32 node = plan->steps[static_cast<size_t>(culprit)].node;
      fail_node(*s.items[static_cast<size_t>(node)].node, make_failure(done.error()));
      return done;
    }
    s.granted.clear();  // from here on the appended rows are ours
    e.stats_.nodes += s.items.size();
    for (size_t batch = 0; batch < plan->batch_ends.size(); ++batch) {
      TL_TRY_DO(submit_batch(e, *plan, run, batch, plan->batch_ends.size() == 1 ? then : Then::GoesOn));
    }
    Result<void> written;
    if (checksums) written = write_checksums(e, s, *plan, run);  // settling frees what nobody holds
    run.settle();
    e.stats_.kept_conversions += run.skipped();
    if (!is_for_replay) unseen.push_back({last, run.outcome()});
    TL_TRY_DO(std::exchange(given_up, {}));
    return written;
  }

  Result<void> replay(Executor& e, Trace& trace, std::vector<Tensor>& outputs) {
    TL_TRY_DO(make_room(e));
    Snapshot& s = trace.snapshot();
    if (trace.key_changed() || trace.plan_epoch != plan_epoch) {
      trace.plan = plan_for(e, s);
      trace.plan_epoch = plan_epoch;
      trace.run = std::make_unique<Run>(e.device_, *stream, s, trace.plan);
    }
    Plan& plan = *trace.plan;
    enter(HostPhase::Submit);
    if (observer != nullptr) observer->runs(plan, s);
    if (plan.missing != nullptr) return fail(Code::Unsupported, "{} does not run here", plan.missing->name);
    Run& run = *trace.run;
    const RunChanges changes = trace.changes();
    run.begin_again(changes, trace.keep(), !e.options_.shuffle);
    i32 culprit = -1;
    TL_TRY_DO(run.allocate(culprit));
    s.granted.clear();
    for (size_t batch = 0; batch < plan.batch_ends.size(); ++batch) {
      Result<void> handed_over = submit_batch(e, plan, run, batch, Then::GoesOn);
      if (handed_over.ok()) continue;
      run.note_uses(last);
      return handed_over;
    }
    run.finish_again();
    outputs.reserve(trace.outputs().size());
    for (const SourceRef ref : trace.outputs()) {
      outputs.push_back(is_leaf(ref) ? s.leaves[static_cast<size_t>(~ref)]
                                     : constant(s.node_of(ref).type, run.value_of(ref)));
    }
    run.let_go();
    e.stats_.kept_conversions += run.skipped();
    // Interpreted, results that nobody looks at would not be computed: their failures are nobody's.
    ++e.stats_.replays;
    return {};
  }

  Result<void> write_checksums(Executor& e, const Snapshot& s, const Plan& plan, const Run& run) {
    TL_TRY_DO(wait_for(e, last));
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      const Step& step = plan.steps[i];
      if (step.is_conversion || step.kind == Step::Kind::Copy) continue;
      if (run.outcome()->failure_of(static_cast<i32>(i)) != nullptr) continue;
      for (const StepOutput& o : step.outputs) {
        if (o.node >= 0)
          TL_TRY_DO(write_checksum(e, *s.items[static_cast<size_t>(o.node)].node, step.op->name,
                                   run.value_of(o.node)));
      }
    }
    if (std::fflush(checksums.get()) != 0) {
      return fail(Code::Io, "cannot write {}: {}", e.options_.checksums_path, std::strerror(errno));
    }
    return {};
  }

  Result<void> write_checksum(Executor& e, const Node& node, std::string_view op, const Placement& value) {
    HostTensor host{node.type, {}};
    host.bytes.resize(static_cast<size_t>(row_bytes(node.type.dtype, tl::numel(node.type.shape))));
    TL_TRY_DO(e.device_.download(*value.buffer, 0, host.bytes));
    if (must_fail(FailPoint::Write))
      return fail(Code::Io, "cannot write {}: failed on purpose", e.options_.checksums_path);
    const int written = std::fprintf(checksums.get(), "%s %s %s\n", std::string(op).c_str(),
                                     to_string(node.type).c_str(), checksum_hex(checksum(host)).c_str());
    if (written < 0)
      return fail(Code::Io, "cannot write {}: {}", e.options_.checksums_path, std::strerror(errno));
    return {};
  }
};

Executor::Executor(Device& device, ExecOptions options)
    : device_(device), options_(std::move(options)), impl_(std::make_unique<Impl>()) {
  impl_->stream = device.create_stream();
  impl_->observer = options_.observer;
  if (options_.shuffle) impl_->shuffle.seed(*options_.shuffle);
  if (options_.generator) recorder_.set_generator(*options_.generator);
}

// Work nobody looked at is dropped, but what was submitted has to end before its memory goes.
// A command that never ends keeps its stream for ever.
Executor::~Executor() {
  constexpr double kPatienceSeconds = 1;
  impl_->enter(HostPhase::Wait);
  if (impl_->is_stuck) impl_->stream->cancel();
  const bool is_done = impl_->stream->wait(impl_->last, impl_->is_stuck ? kPatienceSeconds : 0);
  impl_->enter(HostPhase::Record);
  if (is_done) return;
  is_any_stuck.store(true);
  (void)impl_.release();
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

void Executor::set_cancel_check(std::function<bool()> check, OnCancel then) {
  impl_->cancel_check = std::move(check);
  impl_->on_cancel = then;
}

Result<Tensor> Executor::apply(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs, Span origin) {
  std::array<Tensor, kMaxInputs> given;
  if (op.kind == OpKind::View && inputs[0]->is_scalar) {  // a view needs memory to look at
    TL_TRY(given[0], materialise(inputs[0]));
    if (RecordObserver* observer = recorder_.observer()) observer->materialised(inputs[0], given[0]);
    inputs = {given.data(), 1};
  }
  TL_TRY(Tensor result, recorder_.record(op, inputs, std::move(attrs), origin));
  if (recorder_.pending_count() >= options_.pending_hard_limit) TL_TRY_DO(flush());
  return result;
}

Result<std::vector<Tensor>> Executor::apply_all(const OpDef& op, std::span<const Tensor> inputs, Attrs attrs,
                                                Span origin) {
  TL_TRY(std::vector<Tensor> results, recorder_.record_all(op, inputs, std::move(attrs), origin));
  if (recorder_.pending_count() >= options_.pending_hard_limit) TL_TRY_DO(flush());
  return results;
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
  return run(roots, Then::GoesOn);
}

Result<void> Executor::flush() {
  return recorder_.pending_count() > 0 ? run({}, Then::GoesOn) : Result<void>();
}

Result<void> Executor::run(std::span<const Tensor> roots, Then then) {
  bool pending = roots.empty();
  for (const Tensor& t : roots) {
    if (t->state == NodeState::Failed) return see(*t->failure);
    pending |= t->state == NodeState::Pending;
  }
  if (!pending) return {};
  impl_->enter(HostPhase::Plan);
  Snapshot s = take_snapshot(recorder_, roots, impl_->checksums == nullptr);
  Result<void> done;
  for (const Tensor& t : roots) {
    if (t->state == NodeState::Failed) done = see(*t->failure);
  }
  if (done.ok()) done = impl_->evaluate(*this, s, then);
  impl_->enter(HostPhase::Record);
  if (!done.ok()) s.undo_grants();
  return done;
}

Result<bool> Executor::replay(Trace& trace, std::vector<Tensor>& inputs, std::span<const i64> given,
                              std::vector<Tensor>& outputs) {
  {
    std::vector<Tensor> pending;
    for (const Tensor& t : inputs) {
      if (t->state == NodeState::Pending) pending.push_back(t);
    }
    // What is computed only for a call whose result nobody may look at: see Impl::replay.
    impl_->is_for_replay = true;
    const bool is_submitted = pending.empty() || submit(pending).ok();
    impl_->is_for_replay = false;
    if (!is_submitted) return false;  // whoever asks again is told
  }
  for (const Tensor& t : inputs) {
    if (t->state == NodeState::Failed) return false;
  }
  impl_->enter(HostPhase::Plan);
  const Recorder::Generator generator = recorder_.generator();
  const auto literal = [this](TensorType type, std::span<const std::byte> bytes) {
    return from_host(std::move(type), bytes);
  };
  impl_->enter(HostPhase::Plan);
  const bool fits = trace.update(recorder_, inputs, given, literal) == Trace::Fit::Fits;
  Result<void> done = fits ? impl_->replay(*this, trace, outputs) : Result<void>();
  const bool is_done = fits && done.ok();
  if (!is_done) {
    if (fits) trace.forget();  // with it goes the memory that it took so far
    trace.snapshot().undo_grants();
    recorder_.set_generator(generator);
    trace.give_back(inputs);
  }
  trace.let_go();
  impl_->enter(HostPhase::Record);
  if (!done.ok() && done.error().code == Code::Interrupted) return std::move(done).error();
  return is_done;
}

Result<void> Executor::loop_point() {
  return recorder_.pending_count() >= options_.pending_soft_limit ? flush() : Result<void>();
}

Result<void> Executor::wait(const Tensor& tensor) {
  if (RecordObserver* observer = recorder_.observer()) observer->looked();
  TL_TRY_DO(run({&tensor, 1}, Then::Waits));
  const Placement& value = tensor->value;
  TL_TRY_DO(impl_->wait_for(*this, {static_cast<StreamId>(value.stream), value.ready}));
  if (value.outcome == nullptr) return {};
  if (const FailurePtr failure = value.outcome->failure_of(value.step)) return see(*failure);
  return {};
}

Result<void> Executor::finish() {
  TL_TRY_DO(impl_->wait_for(*this, impl_->last));
  for (const auto& [ticket, outcome] : impl_->unseen) {
    if (const FailurePtr failure = outcome->unseen()) return see(*failure);
  }
  impl_->unseen.clear();
  return {};
}

Result<HostTensor> Executor::read(const Tensor& tensor) {
  if (RecordObserver* observer = recorder_.observer()) observer->looked();
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
  if (n == 0) return host;  // its place may be behind the end of what it looks at
  const Placement& value = tensor->value;
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

// Uploads take memory that is idle: a stream's own may still be in flight.
Result<Tensor> Executor::from_host(TensorType type, std::span<const std::byte> bytes) {
  TL_CHECK(static_cast<i64>(bytes.size()) == row_bytes(type.dtype, tl::numel(type.shape)), "{} bytes for {}",
           bytes.size(), to_string(type));
  auto buffer = device_.allocate(static_cast<i64>(bytes.size()), StreamId{}, {"a literal", type, {}});
  if (!buffer.ok()) return std::move(buffer).error().within(to_string(type));
  TL_TRY_DO(device_.upload(*buffer.value(), 0, bytes));
  Placement value{std::move(buffer).value(), contiguous_strides(type.shape), 0};
  Tensor made = constant(std::move(type), std::move(value));
  if (RecordObserver* observer = recorder_.observer()) observer->made(made);
  return made;
}

Result<Tensor> Executor::reserved(DType dtype, const Shape& row, i64 capacity) {
  if (RecordObserver* observer = recorder_.observer()) observer->looked();  // not a value: it will be written
  i64 bytes = 0;
  if (__builtin_mul_overflow(row_bytes(dtype, tl::numel(row)), capacity, &bytes)) {
    return fail(Code::OutOfMemory, "{} rows of {} are more than any memory holds", capacity, to_string(row));
  }
  TensorType type{dtype, row};
  type.shape.insert(0, 0);
  auto buffer = device_.reserve(bytes, {"a cache", type, {}});
  if (!buffer.ok()) return std::move(buffer).error().within("cache of rows " + to_string(row));
  Placement value{std::move(buffer).value(), contiguous_strides(type.shape), 0};
  return constant(std::move(type), std::move(value));
}

}  // namespace tl
