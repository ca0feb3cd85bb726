#include "tl/backend/cpu/cpu_stream.h"

#include <algorithm>

#include "tl/device/inline_stream.h"

namespace tl::cpu {
namespace {

constexpr double kMinPartNs = 4000;  // below this a part costs more to hand out than it saves
constexpr int kPartsPerThread =
    4;  // a few more than threads, so that a delayed thread's share is taken by others
constexpr i32 kMaxParts = 0xffff;

u64 pack(u32 epoch, i32 total, i32 next) {
  return static_cast<u64>(epoch) << 32 | static_cast<u64>(total) << 16 | static_cast<u64>(next);
}

// Groups of commands that may overlap: a command starts a new group when it conflicts with one in the current
// group.
std::vector<i32> group_ends_of(std::span<const Command> batch) {
  std::vector<i32> ends;
  size_t first = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    bool conflicts = false;
    for (size_t j = first; j < i && !conflicts; ++j) {
      for (const Access& a : batch[i].accesses) {
        for (const Access& b : batch[j].accesses) conflicts |= conflict(a, b);
      }
    }
    if (conflicts) {
      ends.push_back(static_cast<i32>(i));
      first = i;
    }
  }
  if (!batch.empty()) ends.push_back(static_cast<i32>(batch.size()));
  return ends;
}

}  // namespace

StreamState::StreamState(WorkerPool& pool, SimdLevel simd)
    : pool_(pool), simd_(simd), id_(Timelines::instance().create()) {}

Ticket StreamState::enqueue(std::vector<Command> commands, std::vector<i32> group_ends) {
  Ticket ticket{id_, 0};
  bool start = false;
  {
    const std::lock_guard lock(mutex_);
    ticket.value = ++submitted_;
    queue_.push_back({std::move(commands), std::move(group_ends), ticket.value});
    if (!running_) {
      running_ = true;
      start = true;
    }
  }
  if (start) advance();
  return ticket;
}

std::shared_ptr<const Error> StreamState::failure_before(Ticket ticket) const {
  const std::lock_guard lock(mutex_);
  return ticket.stream != id_ || ticket.value >= failed_at_ ? failure_ : nullptr;
}

bool StreamState::run_parts(Worker& worker) {
  bool ran = false;
  u64 cursor = cursor_.load(std::memory_order_acquire);
  for (;;) {
    const i32 next = static_cast<i32>(cursor & 0xffff), total = static_cast<i32>(cursor >> 16 & 0xffff);
    if (next >= total) return ran;
    if (!cursor_.compare_exchange_weak(cursor, cursor + 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      continue;
    }
    run_part(next, worker);
    ran = true;
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == total) advance();
    cursor = cursor_.load(std::memory_order_acquire);
  }
}

void StreamState::run_part(i32 part, Worker& worker) {
  const Active* active = &active_.front();
  while (part >= active->first_part + active->parts) ++active;
  const i64 p = part - active->first_part;
  KernelCall call = active->call;
  call.begin = active->units * p / active->parts;
  call.end = active->units * (p + 1) / active->parts;
  call.scratch = &worker.scratch;
  active->command->kernel->run(call);
  if (call.failure.empty()) return;
  const std::lock_guard lock(mutex_);
  if (!failure_) {
    failure_ = std::make_shared<const Error>(command_error(*active->command, call.failure));
    failed_at_ = batch_.value;
  }
  failed_.store(true, std::memory_order_release);
}

void StreamState::advance() {
  for (;;) {
    if (group_ == batch_.group_ends.size()) {
      if (!start_batch()) return;
      continue;
    }
    if (start_group()) return;
  }
}

bool StreamState::may_start(const Batch& batch) const {
  for (const Command& c : batch.commands) {
    for (const Ticket& t : c.after) {
      if (!Timelines::instance().reached(t)) return false;
    }
  }
  return true;
}

bool StreamState::start_batch() {
  if (batch_.value != 0) {
    const u64 finished = batch_.value;
    batch_ = {};  // frees what it kept alive before anybody hears that it is done
    group_ = 0;
    Timelines::instance().advance(id_, finished);
    pool_.poke_all();
  }
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) {
    running_ = false;
    return false;
  }
  parked_ = true;  // before looking: a ticket reached in between pokes us
  if (!may_start(queue_.front())) return false;
  parked_ = false;
  batch_ = std::move(queue_.front());
  queue_.pop_front();
  group_ = 0;
  return true;
}

void StreamState::poke() {
  {
    const std::lock_guard lock(mutex_);
    if (!parked_) return;
    if (!may_start(queue_.front())) return;
    parked_ = false;
  }
  advance();
}

void StreamState::add_active(const Command& command, i32& parts) {
  Active a;
  a.command = &command;
  a.call.in = command.inputs;
  a.call.out = command.output;
  a.call.attrs = &command.attrs;
  a.call.appended = command.appended;
  a.call.simd = simd_;
  const Kernel& kernel = *command.kernel;
  a.units = kernel.units != nullptr ? kernel.units(a.call) : command.output.numel();
  if (a.units == 0) return;
  const double cost =
      static_cast<double>(a.units) * (kernel.unit_cost != nullptr ? kernel.unit_cost(a.call) : 1.0);
  const i64 threads = pool_.threads();
  i64 wanted = static_cast<i64>(std::min(cost / kMinPartNs, static_cast<double>(threads * kPartsPerThread)));
  if (wanted > threads) wanted = wanted / threads * threads;
  a.parts = static_cast<i32>(std::clamp<i64>(wanted, 1, a.units));
  if (threads == 1) a.parts = 1;
  a.first_part = parts;
  parts += a.parts;
  active_.push_back(std::move(a));
}

bool StreamState::start_group() {
  const i32 first = group_ == 0 ? 0 : batch_.group_ends[group_ - 1];
  i32 last = batch_.group_ends[group_];
  ++group_;
  active_.clear();
  i32 parts = 0;
  if (!failed_.load(
          std::memory_order_acquire)) {  // after a failure nothing of this stream is computed any more
    for (i32 i = first; i < last; ++i) add_active(batch_.commands[static_cast<size_t>(i)], parts);
  }
  if (parts == 0) return false;
  TL_CHECK(parts <= kMaxParts, "{} parts in one group", parts);
  done_.store(0, std::memory_order_relaxed);
  const u32 epoch = static_cast<u32>(cursor_.load(std::memory_order_relaxed) >> 32) + 1;
  cursor_.store(pack(epoch, parts, 0), std::memory_order_release);
  pool_.notify(parts);
  return true;
}

CpuStream::CpuStream(WorkerPool& pool, SimdLevel simd)
    : pool_(pool), state_(std::make_shared<StreamState>(pool, simd)) {
  pool_.add(state_);
}

CpuStream::~CpuStream() {
  Timelines::instance().wait(last_);
  pool_.remove(state_.get());
}

Result<Ticket> CpuStream::submit(std::vector<Command> batch) {
  std::vector<i32> ends = group_ends_of(batch);
  last_ = state_->enqueue(std::move(batch), std::move(ends));
  return last_;
}

Result<PreparedId> CpuStream::prepare(std::span<const Command> batch) {
  prepared_.push_back(group_ends_of(batch));
  return static_cast<PreparedId>(prepared_.size() - 1);
}

Result<Ticket> CpuStream::replay(PreparedId plan, Bindings bindings) {
  last_ = state_->enqueue(std::move(bindings), prepared_[static_cast<size_t>(plan)]);
  return last_;
}

Result<void> CpuStream::wait(Ticket ticket) {
  Timelines::instance().wait(ticket);
  if (const auto failure = state_->failure_before(ticket)) return *failure;
  return {};
}

}  // namespace tl::cpu
