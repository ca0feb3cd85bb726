#include "tl/backend/cpu/cpu_stream.h"

#include <algorithm>

#include "tl/device/inline_stream.h"

namespace tl::cpu {
namespace {

constexpr double kMinPartNs = 4000;  // below this a part costs more to hand out than it saves
constexpr double kMaxPartNs = 10e6;  // above this nobody else gets a turn, and cancelling takes too long
constexpr int kPartsPerThread =
    4;  // a few more than threads, so that a delayed thread's share is taken by others
constexpr i64 kMaxParts = (1 << 20) - 1;
// Work that its submitter waits for is computed by him if it is less than waking others costs.
constexpr double kComputeHereNs = 20e3;
constexpr size_t kMaxCommandsHere = 16;

u64 pack(u64 epoch, i32 total, i32 next) {
  return epoch << 40 | static_cast<u64>(total) << 20 | static_cast<u64>(next);
}
i32 next_part(u64 cursor) {
  return static_cast<i32>(cursor & 0xfffff);
}
i32 total_parts(u64 cursor) {
  return static_cast<i32>(cursor >> 20 & 0xfffff);
}

i64 units_of(const Kernel& kernel, const KernelCall& call) {
  return kernel.units != nullptr ? kernel.units(call) : call.out.numel();
}
double cost_of(const Kernel& kernel, const KernelCall& call, i64 units) {
  return static_cast<double>(units) * (kernel.unit_cost != nullptr ? kernel.unit_cost(call) : 1.0);
}

}  // namespace

// By the length of the longest chain before a command: as few groups as the order allows.
Groups groups_of(const Order& order) {
  std::vector<i32> level(order.size(), 0);
  i32 levels = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    for (const i32 e : order.after(i)) level[i] = std::max(level[i], level[static_cast<size_t>(e)] + 1);
    levels = std::max(levels, level[i] + 1);
  }
  Groups groups;
  groups.ends.assign(static_cast<size_t>(levels), 0);
  for (const i32 l : level) ++groups.ends[static_cast<size_t>(l)];
  std::vector<i32> at(static_cast<size_t>(levels), 0);
  for (size_t l = 1; l < groups.ends.size(); ++l) {
    at[l] = groups.ends[l - 1];
    groups.ends[l] += groups.ends[l - 1];
  }
  groups.commands.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    groups.commands[static_cast<size_t>(at[static_cast<size_t>(level[i])]++)] = static_cast<i32>(i);
  }
  return groups;
}

StreamState::StreamState(const Device& device, WorkerPool& pool, SimdLevel simd, Recycle recycle)
    : device_(device),
      pool_(pool),
      simd_(simd),
      id_(Timelines::instance().create()),
      recycle_(std::move(recycle)),
      submitted_(Timelines::instance().reached_value(id_)),
      cancelled_(submitted_) {}

Ticket StreamState::enqueue(std::unique_ptr<Batch> batch, std::shared_ptr<const Groups> groups, Then then) {
  Ticket ticket{id_, 0};
  bool start = false, here = false;
  {
    const std::lock_guard lock(mutex_);
    ticket.value = ++submitted_;
    if (then == Then::Waits && !running_ && may_start(*batch, ticket.value)) {
      here = running_ = true;
    } else {
      queue_.push_back({std::move(batch), std::move(groups), ticket.value});
      if (!running_) start = running_ = true;
    }
  }
  if (here) {
    if (compute_here(*batch, *groups)) {
      current_ = {std::move(batch), std::move(groups), ticket.value};
      group_ = current_.groups->ends.size();
      active_.clear();
    } else {
      const std::lock_guard lock(mutex_);
      queue_.push_back({std::move(batch), std::move(groups), ticket.value});
    }
    advance();
  }
  if (start) advance();
  return ticket;
}

bool StreamState::compute_here(Batch& batch, const Groups& groups) {
  if (batch.commands.size() > kMaxCommandsHere || batch.rounds.count != nullptr) return false;
  double cost = 0;
  for (size_t i = 0; i < batch.commands.size(); ++i) {
    if (batch.commands[i].is_skipped) continue;
    const KernelCall call = batch.call_of(i);
    const Kernel& kernel = *batch.commands[i].kernel;
    cost += cost_of(kernel, call, units_of(kernel, call));
    if (cost > kComputeHereNs) return false;
  }
  for (const i32 i : groups.commands) {
    const i64 begin = device_.observer() != nullptr ? now_ns() : 0;
    run_command(batch, static_cast<size_t>(i), simd_, scratch_);
    if (begin == 0) continue;
    const i64 end = now_ns();
    device_.observer()->ran(batch, static_cast<size_t>(i), id_, begin, end, end - begin);
  }
  return true;
}

void StreamState::cancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_.store(submitted_, std::memory_order_relaxed);
  }
  poke();  // what waits for another stream waits no more
}

CommandStream::Running StreamState::running() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

bool StreamState::run_next(Worker& worker) {
  u64 cursor = cursor_.load(std::memory_order_acquire);
  for (;;) {
    const i32 next = next_part(cursor), total = total_parts(cursor);
    if (next >= total) return false;
    if (!cursor_.compare_exchange_weak(cursor, cursor + 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      continue;
    }
    run_part(next, worker);
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == total) advance();
    return true;
  }
}

void StreamState::run_part(i32 part, Worker& worker) {
  const auto after = std::upper_bound(active_.begin(), active_.end(), part,
                                      [](i32 p, const Active& a) { return p < a.first_part; });
  Active& active = *(after - 1);
  const i64 p = part - active.first_part;
  KernelCall call = active.call;
  call.begin = active.units * p / active.parts;
  call.end = active.units * (p + 1) / active.parts;
  call.scratch = &worker.scratch;
  const bool observed = device_.observer() != nullptr;
  const i64 begin = observed ? now_ns() : 0;
  const Command& command = current_.batch->commands[static_cast<size_t>(active.command)];
  if (!is_cancelled()) command.kernel->run(call);
  if (call.failure.empty() && !observed) return;
  const std::lock_guard lock(mutex_);
  if (observed) active.busy_ns += now_ns() - begin;
  if (!call.failure.empty() && (active.failed_part < 0 || part < active.failed_part)) {
    active.failed_part = part;
    active.failure = std::move(call.failure);
  }
}

void StreamState::advance() {
  for (;;) {
    if (!active_.empty()) end_group();
    if (current_.batch == nullptr || group_ == current_.groups->ends.size()) {
      if (!start_batch()) return;
      continue;
    }
    if (start_group()) return;
  }
}

void StreamState::end_group() {
  for (const Active& a : active_) {
    const size_t index = static_cast<size_t>(a.command);
    Batch& batch = *current_.batch;
    const Command& c = batch.commands[index];
    if (is_cancelled()) {
      batch.outcome->fail(c.step, interrupted_);
    } else if (a.failed_part >= 0) {
      batch.outcome->fail(c.step, make_failure(command_error(batch, c, a.failure)));
    }
    if (CommandObserver* observer = device_.observer()) {
      observer->ran(batch, index, id_, a.begin_ns, now_ns(), a.busy_ns);
    }
  }
  active_.clear();
}

// A cancelled batch touches nothing, so it need not wait for anybody.
bool StreamState::may_start(const Batch& batch, u64 value) const {
  if (value <= cancelled_.load(std::memory_order_relaxed)) return true;
  return std::all_of(batch.after.begin(), batch.after.end(),
                     [](Ticket t) { return Timelines::instance().reached(t); });
}

bool StreamState::start_batch() {
  if (current_.batch != nullptr && current_.batch->goes_on(++rounds_)) {
    group_ = 0;
    return true;
  }
  rounds_ = 0;
  if (current_.batch != nullptr) {
    const u64 finished = current_.value;
    recycle_(std::move(current_.batch));  // frees what it kept alive before anybody hears that it is done
    current_ = {};
    group_ = 0;
    Timelines::instance().advance(id_, finished);
    pool_.poke_all();
  }
  const std::lock_guard lock(mutex_);
  now_ = {};
  if (queue_.empty()) {
    running_ = false;
    return false;
  }
  parked_ = true;  // before looking: a ticket reached in between pokes us
  if (!may_start(*queue_.front().batch, queue_.front().value)) return false;
  parked_ = false;
  current_ = std::move(queue_.front());
  queue_.pop_front();
  group_ = 0;
  return true;
}

void StreamState::poke() {
  {
    const std::lock_guard lock(mutex_);
    if (!parked_) return;
    if (!may_start(*queue_.front().batch, queue_.front().value)) return;
    parked_ = false;
  }
  advance();
}

i32 StreamState::parts_of(const KernelCall& call, const Kernel& kernel, i64 units) const {
  const double cost = cost_of(kernel, call, units);
  const i64 threads = pool_.useful_threads();
  i64 wanted = 1;
  if (threads > 1) {
    wanted = static_cast<i64>(std::min(cost / kMinPartNs, static_cast<double>(threads * kPartsPerThread)));
    if (wanted > threads) wanted = wanted / threads * threads;
  }
  wanted = std::max(wanted, static_cast<i64>(std::min(cost / kMaxPartNs, 1e6)));
  return static_cast<i32>(std::clamp<i64>(wanted, 1, std::min(units, kMaxParts)));
}

void StreamState::add_active(i32 index, i32& parts, i64 most) {
  Batch& batch = *current_.batch;
  const Command& command = batch.commands[static_cast<size_t>(index)];
  if (command.is_skipped) return;
  FailurePtr failure = is_cancelled() ? interrupted_ : batch.blocked_by(command);
  if (failure == nullptr && fails_on_purpose(batch, command)) {
    failure = make_failure(command_error(batch, command, "failed on purpose"));
  }
  if (failure != nullptr) return batch.outcome->fail(command.step, std::move(failure));
  KernelCall call = batch.call_of(static_cast<size_t>(index));
  call.simd = simd_;
  const i64 units = units_of(*command.kernel, call);
  if (units == 0) return;
  Active a;
  a.command = index;
  a.units = units;
  a.parts = static_cast<i32>(std::min<i64>(parts_of(call, *command.kernel, units), most));
  a.call = std::move(call);
  a.first_part = parts;
  parts += a.parts;
  if (device_.observer() != nullptr) a.begin_ns = now_ns();
  active_.push_back(std::move(a));
}

bool StreamState::start_group() {
  const i32 first = group_ == 0 ? 0 : current_.groups->ends[group_ - 1];
  const i32 last = current_.groups->ends[group_];
  ++group_;
  active_.clear();
  i32 parts = 0;
  TL_CHECK(last - first <= kMaxParts, "{} commands in one group", last - first);
  const i64 most = kMaxParts / std::max(last - first, 1);  // of one command: the numbers of all must fit
  for (i32 i = first; i < last; ++i)
    add_active(current_.groups->commands[static_cast<size_t>(i)], parts, most);
  if (parts == 0) return false;
  {
    const std::lock_guard lock(mutex_);
    const Command& c = current_.batch->commands[static_cast<size_t>(active_.front().command)];
    now_ = {c.op, c.origin};
  }
  done_.store(0, std::memory_order_relaxed);
  const u64 epoch = (cursor_.load(std::memory_order_relaxed) >> 40) + 1;
  cursor_.store(pack(epoch, parts, 0), std::memory_order_release);
  pool_.notify(parts);
  return true;
}

CpuStream::CpuStream(Device& device, WorkerPool& pool, SimdLevel simd)
    : device_(device),
      pool_(pool),
      state_(std::make_shared<StreamState>(
          device, pool, simd,
          [recycler = recycler_](std::unique_ptr<Batch> b) { recycler->give(std::move(b)); })) {
  pool_.add(state_);
}

CpuStream::~CpuStream() {
  Timelines::instance().wait(last_);
  pool_.remove(state_.get());
  device_.retire(state_->id());
  Timelines::instance().retire(state_->id());
}

Result<PreparedId> CpuStream::prepare(const Order& order) {
  auto groups = std::make_shared<const Groups>(groups_of(order));
  if (free_.empty()) {
    prepared_.push_back(std::move(groups));
    return static_cast<PreparedId>(prepared_.size() - 1);
  }
  const u32 id = free_.back();
  free_.pop_back();
  prepared_[id] = std::move(groups);
  return static_cast<PreparedId>(id);
}

void CpuStream::release(PreparedId plan) {
  prepared_[static_cast<u32>(plan)].reset();
  free_.push_back(static_cast<u32>(plan));
}

Result<Ticket> CpuStream::replay(PreparedId plan, std::unique_ptr<Batch> batch, Then then) {
  last_ = state_->enqueue(std::move(batch), prepared_[static_cast<u32>(plan)], then);
  return last_;
}

}  // namespace tl::cpu
