#include "tl/observe/shadow.h"

#include <algorithm>

namespace tl {

// --- Who knows what is done ---

void Knowledge::raise(Clock& clock, u32 stream, u64 value) {
  u64& known = clock[stream];
  known = std::max(known, value);
}

void Knowledge::learn(StreamId who, Ticket reached) {
  Clock& clock = clocks_[static_cast<u32>(who)];
  raise(clock, static_cast<u32>(reached.stream), reached.value);
  const auto marks = marks_.find(static_cast<u32>(reached.stream));
  if (marks == marks_.end()) return;
  // And all that was known there.
  const auto after = std::upper_bound(marks->second.begin(), marks->second.end(), reached.value,
                                      [](u64 value, const Mark& mark) { return value < mark.value; });
  if (after == marks->second.begin()) return;
  for (const auto& [stream, value] : std::prev(after)->clock) raise(clock, stream, value);
}

bool Knowledge::knows(StreamId who, Ticket ticket) const {
  if (ticket.value == 0 || ticket.stream == who) return true;
  const auto clock = clocks_.find(static_cast<u32>(who));
  if (clock == clocks_.end()) return false;
  const auto known = clock->second.find(static_cast<u32>(ticket.stream));
  return known != clock->second.end() && known->second >= ticket.value;
}

void Knowledge::forget(StreamId who) {
  clocks_.erase(static_cast<u32>(who));
}

void Knowledge::mark(Ticket ticket) {
  const Clock& clock = clocks_[static_cast<u32>(ticket.stream)];
  std::vector<Mark>& marks = marks_[static_cast<u32>(ticket.stream)];
  if (!marks.empty() && marks.back().clock == clock) return;
  marks.push_back({ticket.value, clock});
}

// --- Memory ---

std::string_view name_of(const Toucher& toucher) {
  return toucher.what.empty() ? "the host" : toucher.what;
}

Error fault(std::string message, const Toucher& at, std::string note, const Toucher& other) {
  Error error{Code::Device, "validate: " + std::move(message), at.origin};
  error.also.push_back({std::move(note), other.origin});
  return error;
}

Shadow::Ranges::const_iterator Shadow::first_in(i64 begin) const {
  auto it = written_.upper_bound(begin);
  if (it != written_.begin() && std::prev(it)->second.end > begin) --it;
  return it;
}

bool Shadow::is_written(i64 begin, i64 end) const {
  for (auto it = first_in(begin); begin < end; ++it) {
    if (it == written_.end() || it->first > begin) return false;
    begin = it->second.end;
  }
  return true;
}

std::optional<Toucher> Shadow::writer_at(i64 offset) const {
  const auto it = first_in(offset);
  if (it == written_.end() || it->first > offset) return std::nullopt;
  return it->second.by;
}

void Shadow::put(i64 begin, i64 end, const Toucher& by) {
  if (begin >= end) return;
  auto it = written_.upper_bound(begin);
  if (it != written_.begin() && std::prev(it)->second.end > begin) --it;
  while (it != written_.end() && it->first < end) {
    const i64 first = it->first;
    const Written old = it->second;
    it = written_.erase(it);
    if (first < begin) written_.emplace(first, Written{begin, old.by, old.sequence});
    if (old.end > end) written_.emplace(end, old);
  }
  written_.emplace(begin, Written{end, by, ++sequence_});
}

void Shadow::fill(i64 begin, i64 end) {
  put(begin, end, {});
}

void Shadow::touch(const Toucher& by) {
  for (Toucher& t : last_) {
    if (t.stream == by.stream) {
      t = by;
      return;
    }
  }
  last_.push_back(by);
}

// What lies there must be what the plan means: the value of that step, not of one that came later.
std::optional<Error> Shadow::check_meant(const Access& access, const Toucher& by) const {
  if (access.step < 0) return std::nullopt;
  const i64 end = access.offset_bytes + access.size_bytes;
  const auto meant = wrote_.find({access.run, access.step});
  if (access.run != nullptr && (meant == wrote_.end() || meant->second.run.expired())) return std::nullopt;
  for (auto it = first_in(access.offset_bytes); it != written_.end() && it->first < end; ++it) {
    const Written& w = it->second;
    const bool is_later = access.run != nullptr ? w.sequence > meant->second.sequence : !w.by.what.empty();
    if (!is_later) continue;
    return fault(fmt::format("{} reads memory that {} has written over: the value it means is gone", by.what,
                             name_of(w.by)),
                 by, fmt::format("{} wrote here", name_of(w.by)), w.by);
  }
  return std::nullopt;
}

std::optional<Error> Shadow::read(const Access& access, const Toucher& by, const Knowledge& knowledge) {
  const i64 begin = access.offset_bytes, end = begin + access.size_bytes;
  if (begin >= end) return std::nullopt;
  std::optional<Error> found;
  if (!is_written(begin, end)) {
    found = fault(fmt::format("{} reads bytes {} to {} of a tensor, and nobody has written all of them",
                              by.what, begin, end),
                  by, fmt::format("the memory is of {} {}", label_.what, to_string(label_.type)),
                  {label_.what, label_.origin});
  }
  for (auto it = first_in(begin); !found && it != written_.end() && it->first < end; ++it) {
    const Toucher& writer = it->second.by;
    if (writer.what.empty() || knowledge.knows(by.stream, {writer.stream, writer.value})) continue;
    found = fault(fmt::format("{} reads what {} writes on another stream, and does not wait for it", by.what,
                              writer.what),
                  by, fmt::format("{} writes it", writer.what), writer);
  }
  if (!found) found = check_meant(access, by);
  // A reading of the same stream that saw no more than this one says nothing new.
  std::erase_if(readings_, [&](const Reading& r) {
    return r.by.stream == by.stream && r.begin >= begin && r.end <= end;
  });
  readings_.push_back({begin, end, by});
  touch(by);
  return found;
}

std::optional<Error> Shadow::write(const Access& access, const Toucher& by, const Knowledge& knowledge) {
  const i64 begin = access.offset_bytes, end = begin + access.size_bytes;
  if (begin >= end) {  // an append of no rows: what it means is what lies there
    remember(by);
    return std::nullopt;
  }
  std::optional<Error> found;
  const auto check = [&](const Toucher& other, std::string_view does) {
    if (found || other.what.empty() || knowledge.knows(by.stream, {other.stream, other.value})) return;
    found = fault(fmt::format("{} writes over what {} {} on another stream, and does not wait for it",
                              by.what, other.what, does),
                  by, fmt::format("{} {} it", other.what, does), other);
  };
  for (const Reading& r : readings_) {
    if (r.begin < end && begin < r.end) check(r.by, "reads");
  }
  for (auto it = first_in(begin); it != written_.end() && it->first < end; ++it)
    check(it->second.by, "writes");
  std::erase_if(readings_, [&](const Reading& r) { return r.begin >= begin && r.end <= end; });
  put(begin, end, by);
  remember(by);
  touch(by);
  return found;
}

void Shadow::remember(const Toucher& by) {
  const std::shared_ptr<const Outcome> run = by.run.lock();
  wrote_[{run.get(), by.step}] = {sequence_, by.run};
  if (wrote_.size() < forget_at_) return;
  std::erase_if(wrote_, [](const auto& entry) { return entry.second.run.expired(); });
  forget_at_ = 2 * wrote_.size() + 64;
}

}  // namespace tl
