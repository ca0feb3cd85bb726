#include "tl/exec/executor.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <deque>
#include <unordered_map>

#include "tl/base/fail_point.h"
#include "tl/base/hash.h"
#include "tl/exec/checksum.h"
#include "tl/exec/planner.h"
#include "tl/exec/repeat.h"
#include "tl/exec/shuffle.h"
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

struct FileCloser {
  void operator()(std::FILE* f) const { std::fclose(f); }
};

}  // namespace

static bool has_parts(std::span<const Tensor> tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const Tensor& t) { return t->parts != nullptr; });
}

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
  // What a program has submitted by name and nobody has seen the end of: its failures must not be lost.
  struct Unseen {
    Ticket ticket;
    StepRef value;
    FailurePtr failure() const {
      FailurePtr found = value.outcome->failure_of(value.step);
      return found != nullptr && found->is_seen.load(std::memory_order_relaxed) ? nullptr : found;
    }
  };
  std::deque<Unseen> unseen;
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

  // `in_one`: one batch, whatever is wished.
  std::shared_ptr<Plan> plan_for(Executor& e, const Snapshot& s, bool in_one = false) {
    const u64 hash = hash_bytes(s.key.data(), s.key.size() * sizeof(u64));
    for (const auto& plan : plans[hash]) {
      if (plan->key == s.key) {
        ++e.stats_.plans_reused;
        return plan;
      }
    }
    if (plan_count >= kMaxPlans) forget_plans();  // a program that never repeats itself must not grow
    const int per_batch = in_one                              ? INT_MAX
                          : e.options_.eager                  ? 1
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
      if (unseen.front().failure() != nullptr) {
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
  Result<void> submit_batch(Executor& e, Plan& plan, Run& run, size_t index, Then then,
                            RoundEnd* end = nullptr) {
    std::unique_ptr<Batch> batch = run.fill(index);
    if (end != nullptr) end->add_to(*batch, run, plan, e.device_);
    const Order& order = end != nullptr ? end->order() : plan.orders[index];
    const bool is_chain = e.options_.shuffle || (e.options_.eager && end != nullptr);
    const i64 commands = static_cast<i64>(batch->commands.size());
    e.stats_.commands += static_cast<u64>(commands);
    ++e.stats_.batches;
    if (plan.prepared.size() == index) {
      TL_TRY(const PreparedId id, stream->prepare(is_chain ? Order::chain(batch->commands.size()) : order));
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
    run.take_outputs(trace.outputs(), outputs);
    run.let_go();
    e.stats_.kept_conversions += run.skipped();
    // Interpreted, results that nobody looks at would not be computed: their failures are nobody's.
    ++e.stats_.replays;
    return {};
  }

  Result<std::vector<Tensor>> repeat(Executor& e, Trace& body, RoundEnd& end, Span origin) {
    TL_TRY_DO(make_room(e));
    Snapshot& s = body.snapshot();
    const std::shared_ptr<Plan> plan = plan_for(e, s, true);
    enter(HostPhase::Submit);
    if (observer != nullptr) observer->runs(*plan, s);
    if (plan->missing != nullptr)
      return fail(Code::Unsupported, "{} does not run on {} yet", plan->missing->name, e.device_.info().name);
    Run run(e.device_, *stream, s, plan);
    i32 culprit = -1;
    TL_TRY_DO(run.allocate(culprit));
    TL_TRY_DO(end.allocate(e.device_, stream->id(), origin));
    s.granted.clear();
    end.stop = &cancel_check;
    Result<void> handed_over = submit_batch(e, *plan, run, 0, Then::GoesOn, &end);
    run.note_uses(last);
    TL_TRY_DO(handed_over);
    run.finish_again();
    std::vector<Tensor> results = end.results(last, run.outcome());
    Result<void> written;
    if (checksums) written = write_checksums(e, s, *plan, run);  // of the last round
    TL_TRY_DO(std::exchange(given_up, {}));
    TL_TRY_DO(written);
    return results;
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
  impl_->stream->wait_by([this](Ticket ticket) {
    impl_->last = ticket;
    return impl_->wait_for(*this, ticket);
  });
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
  if (has_parts(inputs)) {
    TL_TRY(std::vector<Tensor> results, apply_to_parts(op, inputs, std::move(attrs), origin));
    return std::move(results[0]);
  }
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
  if (has_parts(inputs)) return apply_to_parts(op, inputs, std::move(attrs), origin);
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

Result<void> Executor::submit(std::span<const Tensor> roots, IfUnseen failures) {
  if (has_parts(roots)) {
    std::vector<Tensor> all;
    for (const Tensor& t : roots) {
      if (t->parts == nullptr) all.push_back(t);
      if (t->parts != nullptr) all.insert(all.end(), t->parts->tensors.begin(), t->parts->tensors.end());
    }
    return submit(all, failures);
  }
  TL_TRY_DO(run(roots, Then::GoesOn));
  if (failures == IfUnseen::Drop) return {};
  impl_->drop_done();
  for (const Tensor& t : roots) {
    const Placement& value = t->value;
    if (value.outcome != nullptr)
      impl_->unseen.push_back(
          {{static_cast<StreamId>(value.stream), value.ready}, {value.outcome, value.step}});
  }
  return {};
}

Result<void> Executor::flush() {
  return recorder_.pending_count() > 0 ? submit({}, IfUnseen::Drop) : Result<void>();
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
    const bool is_submitted = pending.empty() || submit(pending, IfUnseen::Drop).ok();
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

Result<std::vector<Tensor>> Executor::repeat(std::unique_ptr<Trace> body, std::span<const Tensor> state,
                                             i64 limit, Span origin) {
  std::vector<Tensor> own;  // memory that the rounds write over
  for (const Tensor& t : state) {
    TL_TRY(Tensor copy, apply(op_contiguous, {t}, {}, origin));
    own.push_back(std::move(copy));
  }
  TL_TRY_DO(submit(own));
  impl_->enter(HostPhase::Plan);
  const auto literal = [this](TensorType type, std::span<const std::byte> bytes) {
    return from_host(std::move(type), bytes);
  };
  RoundEnd end(*body, own.size());
  end.limit = limit;
  std::vector<Tensor> held;
  Trace::Fit fit = body->update(recorder_, own, {}, literal);
  if (fit == Trace::Fit::Fits && !end.fits()) {
    body->snapshot().undo_grants();
    body->give_back(own);
    body->forget();
    held = own;  // somebody else holds it: nothing writes over it
    fit = body->update(recorder_, own, {}, literal);
  }
  Result<std::vector<Tensor>> done = fail(Code::BadProgram, "a round does not fit its state");
  if (fit == Trace::Fit::Fits) {
    end.add_to_key();
    done = impl_->repeat(*this, *body, end, origin);
  }
  if (!done.ok()) body->snapshot().undo_grants();
  impl_->enter(HostPhase::Record);
  return done;
}

Result<void> Executor::loop_point() {
  return recorder_.pending_count() >= options_.pending_soft_limit ? flush() : Result<void>();
}

Result<void> Executor::wait(const Tensor& tensor) {
  if (tensor->parts != nullptr) {
    for (const Tensor& part : tensor->parts->tensors) TL_TRY_DO(wait(part));
    return {};
  }
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
  return report_unseen();
}

Result<void> Executor::report_unseen() {
  for (const Impl::Unseen& one : std::exchange(impl_->unseen, {})) {
    TL_TRY_DO(impl_->wait_for(*this, one.ticket));  // another stream may have computed it
    if (const FailurePtr failure = one.failure()) return see(*failure);
  }
  return {};
}

void Executor::drop() {
  if (!impl_->stream->reached(impl_->last)) impl_->stream->cancel();
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
