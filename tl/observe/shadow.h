// What is known of every byte of a device's memory: who wrote it, who has read it since, and who may know
// that this is done. Knows commands by what they name; sees no values.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tl/device/device.h"

namespace tl {

// A command that touches memory, or the host where it has no op.
struct Toucher {
  std::string_view what = {};  // its op
  Span origin = {};
  StreamId stream = {};
  u64 value = 0;  // its ticket on that stream
  std::weak_ptr<const Outcome> run = {};
  i32 step = -1;
};

// Which tickets each stream has seen to be reached, by what it was told to wait for. Not which have been
// reached: that a command happened to be done is no order.
class Knowledge {
 public:
  void learn(StreamId who, Ticket reached);
  bool knows(StreamId who, Ticket ticket) const;
  void forget(StreamId who);  // an id is given to a new stream
  // A point that others may wait for.
  void mark(Ticket ticket);

 private:
  using Clock = std::unordered_map<u32, u64>;
  struct Mark {
    u64 value;
    Clock clock;  // what was known by then
  };
  static void raise(Clock& clock, u32 stream, u64 value);
  std::unordered_map<u32, Clock> clocks_;
  std::unordered_map<u32, std::vector<Mark>> marks_;
};

// One buffer.
class Shadow {
 public:
  explicit Shadow(MemoryLabel label) : label_(label) {}
  const MemoryLabel& label() const { return label_; }

  // Both give the fault, if there is one, and note the access.
  std::optional<Error> read(const Access& access, const Toucher& by, const Knowledge& knowledge);
  std::optional<Error> write(const Access& access, const Toucher& by, const Knowledge& knowledge);
  // The host wrote it, or reads it after waiting.
  void fill(i64 begin, i64 end);
  bool is_written(i64 begin, i64 end) const;
  // Who wrote the byte at `offset`.
  std::optional<Toucher> writer_at(i64 offset) const;
  // Who touched it last on each stream.
  const std::vector<Toucher>& last() const { return last_; }

 private:
  struct Written {
    i64 end;
    Toucher by;
    u64 sequence;
  };
  struct Reading {
    i64 begin, end;
    Toucher by;
  };
  using Ranges = std::map<i64, Written>;  // by begin; none overlap
  Ranges::const_iterator first_in(i64 begin) const;
  void put(i64 begin, i64 end, const Toucher& by);
  void touch(const Toucher& by);
  std::optional<Error> check_meant(const Access& access, const Toucher& by) const;

  const MemoryLabel label_;
  Ranges written_;
  std::vector<Reading> readings_;
  std::vector<Toucher> last_;
  // What each step wrote here last. A run that is over is remembered until it is forgotten here, so that no
  // later run can lie at its address and be taken for it.
  struct Wrote {
    u64 sequence;
    std::weak_ptr<const Outcome> run;
  };
  void remember(const Toucher& by);

  u64 sequence_ = 0;
  std::map<std::pair<const Outcome*, i32>, Wrote> wrote_;
  size_t forget_at_ = 64;
};

// "softmax", "the host".
std::string_view name_of(const Toucher& toucher);
// An error of the runtime at the line of `at`, with the lines of the others beside it.
Error fault(std::string message, const Toucher& at, std::string note, const Toucher& other);

}  // namespace tl
