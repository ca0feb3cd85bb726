#include "tl/device/memory_pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "tl/base/fail_point.h"

namespace tl {
namespace {

constexpr i64 kCommitBytes = i64{64} << 10;  // reserved ranges are counted in pieces of this
constexpr i64 kPageBytes = 4096;             // and a fork's first piece in pieces of this

// Four classes between powers of two: at most a quarter is wasted, and shapes that grow by a row reuse their
// block.
i64 size_class(i64 bytes) {
  const i64 size = std::max<i64>(bytes, 4096);
  const i64 step = static_cast<i64>(std::bit_floor(static_cast<u64>(size))) / 4;
  return (size + step - 1) / step * step;
}

// TL_POISON=1: what a command reads before it is written is a signalling NaN, not the value of yesterday.
bool poisons() {
  static const bool is_on = [] {
    const char* text = std::getenv("TL_POISON");
    return text != nullptr && std::string_view(text) == "1";
  }();
  return is_on;
}

void poison(void* data, i64 bytes) {
  constexpr u32 kSignallingNan = 0x7fa07fa0;
  for (i64 i = 0; i + 4 <= bytes; i += 4) std::memcpy(static_cast<std::byte*>(data) + i, &kSignallingNan, 4);
}

bool all_reached(std::span<const Ticket> tickets) {
  return std::all_of(tickets.begin(), tickets.end(),
                     [](Ticket t) { return Timelines::instance().reached(t); });
}

}  // namespace

MemoryPool::MemoryPool(MemorySource& source, i64 limit_bytes) : source_(source) {
  stats_.limit_bytes = limit_bytes;
}

MemoryPool::~MemoryPool() {
  for (const Deferred& d : deferred_) {
    if (d.end_range) {
      d.end_range({});
    } else if (d.end) {
      d.end();
    } else {
      source_.give_back(d.block.data, d.block.bytes);
    }
  }
  for (const auto& [stream, lists] : free_) {
    for (const auto& [size, blocks] : lists) {
      for (const Block& b : blocks) source_.give_back(b.data, b.bytes);
    }
  }
}

void MemoryPool::trim() {
  for (auto& [stream, lists] : free_) {
    for (auto& [size, blocks] : lists) {
      std::erase_if(blocks, [&](const Block& b) {
        if (!Timelines::instance().reached(b.last_use)) return false;
        source_.give_back(b.data, b.bytes);
        stats_.cached_bytes -= b.bytes;
        return true;
      });
    }
  }
}

void MemoryPool::empty_cache(Lock& lock) {
  std::vector<Ticket> busy;
  for (const auto& [stream, lists] : free_) {
    for (const auto& [size, blocks] : lists) {
      for (const Block& b : blocks) busy.push_back(b.last_use);
    }
  }
  for (const Deferred& d : deferred_) {
    busy.push_back(d.block.last_use);
    busy.insert(busy.end(), d.tickets.begin(), d.tickets.end());
  }
  lock.unlock();
  for (const Ticket& t : busy) Timelines::instance().wait(t);
  lock.lock();
  collect_deferred();
  trim();
}

void MemoryPool::collect_deferred() {
  std::erase_if(deferred_, [&](Deferred& d) {
    if (!all_reached(d.tickets)) return false;
    if (d.end_range) {
      d.end_range(let_go_of(*d.pages));
    } else if (d.end) {
      stats_.mapped_bytes -= d.mapped_bytes;
      d.end();
    } else {
      put(d.home, d.block);
    }
    return true;
  });
}

// Memory of a stream that has ended is everybody's: all of its work is done.
void MemoryPool::put(StreamId home, Block block) {
  const auto it = free_.find(static_cast<u32>(home));
  const bool is_everybodys = it == free_.end() || home == StreamId{};
  if (is_everybodys) block.last_use = {};
  FreeLists& lists = is_everybodys ? free_[0] : it->second;
  lists[block.bytes].push_back(block);
}

bool MemoryPool::take_from(StreamId stream, i64 size, Block& out) {
  const auto found = free_.find(static_cast<u32>(stream));
  if (found == free_.end()) return false;
  FreeLists& lists = found->second;
  // A block up to twice too large beats asking the system: shapes that shrink must not leave their memory
  // unused.
  for (auto it = lists.lower_bound(size); it != lists.end() && it->first <= 2 * size; ++it) {
    if (it->second.empty()) continue;
    out = it->second.back();
    it->second.pop_back();
    stats_.cached_bytes -= out.bytes;
    return true;
  }
  return false;
}

bool MemoryPool::is_over_limit(i64 more) const {
  return stats_.limit_bytes > 0 && stats_.in_use_bytes + stats_.cached_bytes + more > stats_.limit_bytes;
}

Error MemoryPool::limit_error(i64 bytes) const {
  constexpr size_t kShown = 3;
  std::vector<const Live*> largest;
  for (const auto& [buffer, live] : live_) {
    if (live.bytes > 0) largest.push_back(&live);
  }
  const size_t count = largest.size(), shown = std::min(kShown, count);
  std::partial_sort(largest.begin(), largest.begin() + static_cast<std::ptrdiff_t>(shown), largest.end(),
                    [](const Live* a, const Live* b) { return a->bytes > b->bytes; });
  Error error =
      fail(Code::OutOfMemory,
           "{} bytes more would pass the memory limit of {} ({} in use by {} tensors, the largest {})", bytes,
           stats_.limit_bytes, stats_.in_use_bytes, count, count > 0 ? largest[0]->bytes : 0);
  for (size_t i = 0; i < shown; ++i) {
    const MemoryLabel& label = largest[i]->label;
    if (label.what.empty()) continue;
    error.also.push_back(
        {fmt::format("{} bytes: {} of {}", largest[i]->bytes, to_string(label.type), label.what),
         label.origin});
  }
  return error;
}

Result<void> MemoryPool::make_room(i64 bytes, Lock& lock) {
  if (must_fail(FailPoint::Alloc)) return fail(Code::OutOfMemory, "{} bytes failed on purpose", bytes);
  // What is kept for other sizes and streams must not refuse this one.
  if (is_over_limit(bytes)) empty_cache(lock);
  if (is_over_limit(bytes)) return limit_error(bytes);
  return {};
}

Result<MemoryPool::Block> MemoryPool::take(i64 bytes, StreamId stream, Lock& lock) {
  const i64 size = size_class(bytes);
  if (!deferred_.empty()) collect_deferred();
  if (stream != StreamId{}) free_.try_emplace(static_cast<u32>(stream));
  Block block{};
  if (take_from(stream, size, block) || take_from(StreamId{}, size, block)) {
    if (!must_fail(FailPoint::Alloc)) return block;
    put(stream, block);
    stats_.cached_bytes += block.bytes;
    return fail(Code::OutOfMemory, "{} bytes failed on purpose", bytes);
  }
  TL_TRY_DO(make_room(size, lock));
  Result<void*> data = source_.take(size);
  if (!data.ok()) {  // what is kept for reuse may be what is missing
    empty_cache(lock);
    data = source_.take(size);
    if (!data.ok()) return std::move(data).error();
  }
  ++stats_.system_allocations;
  return Block{data.value(), size, {}};
}

Result<std::shared_ptr<Buffer>> MemoryPool::allocate(Device& device, i64 bytes, StreamId stream,
                                                     const MemoryLabel& label) {
  if (bytes < 0 || bytes > (i64{1} << 62)) return fail(Code::OutOfMemory, "a tensor of {} bytes", bytes);
  Lock lock(mutex_);
  TL_TRY(Block block, take(bytes, stream, lock));
  take_in(label, block.bytes, 1);
  auto buffer = std::make_shared<Buffer>(device, block.data, bytes,
                                         [this, block, stream](Buffer& b) { release(block, stream, b); });
  live_.emplace(buffer.get(), Live{block.bytes, label});
  lock.unlock();
  if (poisons()) {
    Timelines::instance().wait(block.last_use);
    poison(block.data, block.bytes);
  }
  return buffer;
}

void MemoryPool::release(Block block, StreamId home, const Buffer& buffer) {
  Deferred d{{}, block, home, {}};
  buffer.add_unreached(home, d.tickets);
  const Ticket own = buffer.last_use(home);
  if (own.value > block.last_use.value) d.block.last_use = own;
  d.block.last_use.stream = home;
  const std::lock_guard lock(mutex_);
  const auto live = live_.find(&buffer);
  let_go(live->second.label, block.bytes, 1);
  live_.erase(live);
  stats_.cached_bytes += block.bytes;
  if (d.tickets.empty()) {
    put(home, d.block);
  } else {
    deferred_.push_back(std::move(d));
  }
}

std::shared_ptr<Buffer> MemoryPool::adopt(Device& device, void* data, i64 bytes, const MemoryLabel& label,
                                          std::function<void()> end, i64 mapped_bytes) {
  auto buffer =
      std::make_shared<Buffer>(device, data, bytes, [this, end = std::move(end), mapped_bytes](Buffer& b) {
        release_adopted(b,
                        {.tickets = {}, .block = {}, .home = {}, .end = end, .mapped_bytes = mapped_bytes});
      });
  const std::lock_guard lock(mutex_);
  stats_.mapped_bytes += mapped_bytes;
  live_.emplace(buffer.get(), Live{0, label});
  return buffer;
}

std::shared_ptr<Buffer> MemoryPool::adopt_range(Device& device, void* data, i64 bytes,
                                                const MemoryLabel& label, std::shared_ptr<RangePages> pages,
                                                EndRange end) {
  auto buffer = std::make_shared<Buffer>(device, data, bytes, [this, end = std::move(end)](Buffer& b) {
    release_adopted(b, {.tickets = {}, .block = {}, .home = {}, .pages = b.pages, .end_range = end});
  });
  const i64 begin = pages->pieces.empty() ? 0 : pages->pieces.back().end;
  auto own = std::make_shared<SharedPages>(SharedPages{buffer->id(), begin, {begin}, label});
  buffer->is_reserved = true;
  buffer->inherited_bytes = begin;
  buffer->shared_bytes = begin;
  buffer->committed_bytes = begin;
  const std::lock_guard lock(mutex_);
  live_.emplace(own.get(), Live{0, label});
  pages->pieces.push_back({std::move(own), begin});
  buffer->pages = std::move(pages);
  return buffer;
}

std::shared_ptr<RangePages> MemoryPool::share(const Buffer& from, i64 kept_bytes) {
  auto shared = std::make_shared<RangePages>();
  const std::lock_guard lock(mutex_);
  const auto& pieces = from.pages->pieces;
  for (const auto& [pages, end] : pieces) {
    if (pages->begin >= kept_bytes) break;
    const bool is_last = &pages == &pieces.back().pages;
    shared->pieces.push_back({pages, is_last ? kept_bytes : std::min(end, kept_bytes)});
    pages->ends.insert(shared->pieces.back().end);
    count(*pages);
  }
  return shared;
}

void MemoryPool::drop(const std::shared_ptr<RangePages>& pages) {
  const std::lock_guard lock(mutex_);
  (void)let_go_of(*pages);
}

// One range less looks at these pages: which of their bytes nobody looks at any more.
std::vector<MemoryPool::Part> MemoryPool::let_go_of(const RangePages& range) {
  std::vector<Part> unused;
  for (const auto& [pages, end] : range.pieces) {
    std::multiset<i64>& ends = pages->ends;
    const i64 before = *ends.rbegin();
    ends.erase(ends.find(end));
    count(*pages);
    if (ends.empty()) {
      live_.erase(pages.get());
    } else if (*ends.rbegin() > pages->begin && *ends.rbegin() < before) {
      unused.push_back({*ends.rbegin(), before});
    }
  }
  return unused;
}

// Pages count once, as far as anybody looks at them.
void MemoryPool::count(const SharedPages& pages) {
  const i64 bytes = pages.ends.empty() ? 0 : *pages.ends.rbegin() - pages.begin;
  Live& live = live_.at(&pages);
  const i64 more = bytes - live.bytes;
  if (more > 0) take_in(pages.label, more, live.bytes == 0 ? 1 : 0);
  if (more < 0) let_go(pages.label, -more, bytes == 0 ? 1 : 0);
  live.bytes = bytes;
}

void MemoryPool::release_adopted(const Buffer& buffer, Deferred d) {
  buffer.add_unreached(StreamId{}, d.tickets);
  const std::lock_guard lock(mutex_);
  if (d.pages == nullptr) live_.erase(&buffer);
  deferred_.push_back(std::move(d));
  collect_deferred();
}

Result<void> MemoryPool::commit(Buffer& buffer, i64 bytes) {
  const i64 before = buffer.committed_bytes.load(std::memory_order_relaxed);
  if (bytes <= before) return {};
  // Forks by the page at first: a thousand of them may have one page each.
  const bool is_small = buffer.inherited_bytes > 0 && before - buffer.inherited_bytes < kCommitBytes;
  const i64 piece = is_small ? kPageBytes : kCommitBytes;
  const i64 after = std::max(bytes, std::min(buffer.bytes(), (bytes + piece - 1) / piece * piece));
  Lock lock(mutex_);
  TL_TRY_DO(make_room(after - before, lock));
  RangePages::Piece& own = buffer.pages->pieces.back();
  own.pages->ends.erase(own.pages->ends.find(own.end));
  own.pages->ends.insert(after);
  own.end = after;
  count(*own.pages);
  buffer.committed_bytes.store(after, std::memory_order_relaxed);
  return {};
}

void MemoryPool::retire(StreamId stream) {
  const std::lock_guard lock(mutex_);
  const auto it = free_.find(static_cast<u32>(stream));
  if (it == free_.end()) return;
  FreeLists lists = std::move(it->second);
  free_.erase(it);
  for (auto& [size, blocks] : lists) {
    for (Block& b : blocks) {
      b.last_use = {};
      put(StreamId{}, b);
    }
  }
}

void MemoryPool::take_in(const MemoryLabel& label, i64 bytes, i64 tensors) {
  stats_.in_use_bytes += bytes;
  const bool is_new_high = stats_.in_use_bytes > stats_.high_water_bytes;
  stats_.high_water_bytes = std::max(stats_.high_water_bytes, stats_.in_use_bytes);
  if (watched_ == nullptr) return;
  watched_->is_new_high |= is_new_high;
  const Span at = label.origin;
  MemoryUse& use = watched_->now[{label.what, at.file, at.begin, at.end}];
  if (use.tensors == 0 || numel(label.type.shape) >= numel(use.label.type.shape)) use.label = label;
  use.bytes += bytes;
  use.tensors += tensors;
}

void MemoryPool::let_go(const MemoryLabel& label, i64 bytes, i64 tensors) {
  stats_.in_use_bytes -= bytes;
  if (watched_ == nullptr) return;
  // The highest point of a rise is only known when it falls again.
  if (std::exchange(watched_->is_new_high, false)) watched_->at_high_water = watched_->now;
  const Span at = label.origin;
  MemoryUse& use = watched_->now[{label.what, at.file, at.begin, at.end}];
  use.bytes -= bytes;
  use.tensors -= tensors;
}

void MemoryPool::watch() {
  const std::lock_guard lock(mutex_);
  watched_ = std::make_unique<Watched>();
}

std::vector<MemoryUse> MemoryPool::at_high_water() const {
  const std::lock_guard lock(mutex_);
  std::vector<MemoryUse> uses;
  if (watched_ == nullptr) return uses;
  for (const auto& [key, use] : watched_->is_new_high ? watched_->now : watched_->at_high_water) {
    if (use.bytes > 0) uses.push_back(use);
  }
  std::sort(uses.begin(), uses.end(),
            [](const MemoryUse& a, const MemoryUse& b) { return a.bytes > b.bytes; });
  return uses;
}

MemoryStats MemoryPool::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace tl
