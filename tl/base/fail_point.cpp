#include "tl/base/fail_point.h"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <vector>

namespace tl {
namespace {

constexpr std::string_view kNames[] = {"command", "alloc", "read", "write", "map", "scratch", "thread"};

struct Rule {
  FailPoint point;
  std::string op;  // commands: of this op only; empty: any
  u64 at = 0;      // the at-th fails; 0: by chance
  double probability = 0;
  u64 state = 0, seen = 0;  // of the generator; how many there were
};

std::mutex mutex;
std::vector<Rule> rules;
u64 hits = 0;

// splitmix64 (Steele, Lea, Flood, 2014).
double next_unit(u64& state) {
  u64 z = state += 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return static_cast<double>((z ^ z >> 31) >> 11) * 0x1p-53;
}

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// "7" or "0.01@5".
bool parse_when(std::string_view text, Rule& rule) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos) return parse_number(text, rule.at) && rule.at > 0;
  return parse_number(text.substr(0, at), rule.probability) && rule.probability >= 0 &&
         rule.probability <= 1 && parse_number(text.substr(at + 1), rule.state);
}

bool parse_rule(std::string_view text, Rule& rule) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view kind = text.substr(0, colon);
  text.remove_prefix(colon + 1);
  if (kind == "op") {
    const size_t second = text.find(':');
    if (second == std::string_view::npos || second == 0) return false;
    rule.point = FailPoint::Command;
    rule.op = text.substr(0, second);
    return parse_when(text.substr(second + 1), rule);
  }
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (kind != kNames[i]) continue;
    rule.point = static_cast<FailPoint>(i);
    return parse_when(text, rule);
  }
  return false;
}

}  // namespace

std::atomic<bool> fail_point::is_active{false};

bool fail_point::hits_slowly(FailPoint point, std::span<const std::string_view> names) {
  const std::lock_guard lock(mutex);
  bool hit = false;
  for (Rule& rule : rules) {
    if (rule.point != point) continue;
    const i64 times = rule.op.empty() ? 1 : std::count(names.begin(), names.end(), rule.op);
    for (i64 i = 0; i < times; ++i) {
      ++rule.seen;
      hit |= rule.at > 0 ? rule.seen == rule.at : next_unit(rule.state) < rule.probability;
    }
  }
  hits += hit;
  return hit;
}

Result<void> set_fail_points(std::string_view text) {
  std::vector<Rule> parsed;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    Rule rule{};
    if (!parse_rule(one, rule)) {
      return fail(Code::BadProgram,
                  "TL_FAIL: '{}' names no failure, want command:7, op:softmax:2, alloc:0.01@5, read:3, "
                  "write:1, map:1, scratch:2 or thread:1",
                  one);
    }
    parsed.push_back(std::move(rule));
  }
  const std::lock_guard lock(mutex);
  rules = std::move(parsed);
  hits = 0;
  fail_point::is_active.store(!rules.empty(), std::memory_order_relaxed);
  return {};
}

u64 fail_points_hit() {
  const std::lock_guard lock(mutex);
  return hits;
}

}  // namespace tl
