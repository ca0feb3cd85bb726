// The caching pool of a device. Freed memory goes back to the list of the stream that allocated it, which may
// reuse it at once because a stream keeps its own order; if another stream has used it, only after that
// stream's ticket is reached. Knows nothing of where memory comes from, so that any device can have one.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <unordered_map>

#include "tl/device/device.h"

namespace tl {

// Where a pool's memory comes from.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  virtual Result<void*> take(i64 bytes) = 0;
  virtual void give_back(void* data, i64 bytes) = 0;
};

// The pages that one reserved range brought in. Its forks look at some of them too, from the first one on.
// Guarded by the pool.
struct SharedPages {
  BufferId owner{};
  i64 begin = 0;            // offset in every range that looks at them
  std::multiset<i64> ends;  // how far each of these looks
  MemoryLabel label;
};

// Where the bytes of a reserved range come from: pages of those that it was forked from, then its own.
struct RangePages {
  struct Piece {
    std::shared_ptr<SharedPages> pages;
    i64 end;  // of the last, its own: what is committed
  };
  std::vector<Piece> pieces;
};

class MemoryPool {
 public:
  MemoryPool(MemorySource& source, i64 limit_bytes);  // 0: no limit
  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;

  Result<std::shared_ptr<Buffer>> allocate(Device& device, i64 bytes, StreamId stream,
                                           const MemoryLabel& label);
  // A buffer that is not the pool's, whose bytes are counted as they are committed, and which ends by `end`
  // when nothing works in it any more.
  std::shared_ptr<Buffer> adopt(Device& device, void* data, i64 bytes, const MemoryLabel& label,
                                std::function<void()> end, i64 mapped_bytes = 0);
  // The same for a reserved range. `end` is told which parts nobody looks at any more although others look at
  // pages before them.
  struct Part {
    i64 begin, end;
  };
  using EndRange = std::function<void(std::span<const Part> unused)>;
  std::shared_ptr<Buffer> adopt_range(Device& device, void* data, i64 bytes, const MemoryLabel& label,
                                      std::shared_ptr<RangePages> pages, EndRange end);
  // The pages of `from` before `kept_bytes`, of which there are whole numbers, for a range that is to share
  // them; given back by `drop` if there will be none.
  std::shared_ptr<RangePages> share(const Buffer& from, i64 kept_bytes);
  void drop(const std::shared_ptr<RangePages>& pages);
  Result<void> commit(Buffer& buffer, i64 bytes);
  void retire(StreamId stream);
  MemoryStats stats() const;
  void watch();  // before anything is allocated
  std::vector<MemoryUse> at_high_water() const;

 private:
  struct Block {
    void* data;
    i64 bytes;        // of the size class
    Ticket last_use;  // on its own stream
  };
  // Memory that other streams still work in, and what becomes of it then.
  struct Deferred {
    std::vector<Ticket> tickets;
    Block block;
    StreamId home;
    std::function<void()> end;  // set: not the pool's memory
    i64 mapped_bytes = 0;
    std::shared_ptr<RangePages> pages = {};  // of a reserved range, which ends by `end_range`
    EndRange end_range = {};
  };
  struct Live {
    i64 bytes;
    MemoryLabel label;
  };
  using FreeLists = std::map<i64, std::vector<Block>>;  // by size class
  using Lock = std::unique_lock<std::mutex>;

  // What is in use, by op and line, while somebody watches.
  struct Watched {
    using Key = std::tuple<std::string_view, FileId, u32, u32>;
    std::map<Key, MemoryUse> now, at_high_water;
    bool is_new_high = false;  // and at_high_water is not a copy of it yet
  };
  void take_in(const MemoryLabel& label, i64 bytes, i64 tensors);
  void let_go(const MemoryLabel& label, i64 bytes, i64 tensors);

  void release(Block block, StreamId home, const Buffer& buffer);
  void release_adopted(const Buffer& buffer, Deferred d);
  std::vector<Part> let_go_of(const RangePages& pages);
  void count(const SharedPages& pages);
  void put(StreamId home, Block block);
  bool take_from(StreamId stream, i64 size, Block& out);
  Result<Block> take(i64 bytes, StreamId stream, Lock& lock);
  Result<void> make_room(i64 bytes, Lock& lock);
  bool is_over_limit(i64 more) const;
  Error limit_error(i64 bytes) const;
  void collect_deferred();
  // Waits, without the lock, for the work that free memory is still in, and gives that memory back.
  void empty_cache(Lock& lock);
  void trim();  // gives back the free blocks that nothing works in any more

  MemorySource& source_;
  mutable std::mutex mutex_;
  std::unordered_map<u32, FreeLists> free_;  // of streams that live; 0: everybody's, and idle
  std::vector<Deferred> deferred_;
  std::unordered_map<const void*, Live> live_;  // by buffer; of reserved ranges by their own pages
  MemoryStats stats_;
  std::unique_ptr<Watched> watched_;
};

}  // namespace tl
