// The variables in view and what each holds now. Assignments leave a trail, so that the branches of an `if`
// can be followed one after the other and then joined.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tl/sema/type.h"

namespace tl::sema {

class Scopes {
 public:
  struct Variable {
    std::string name;
    Type type;
    int function = 0;       // how many functions are around its declaration
    bool is_loose = false;  // may change at any time: always Any
    Span span = {};         // of a `let`, where nobody reading it is worth a warning
    bool is_used = false;
  };
  static constexpr size_t kNowhere = ~size_t{0};

  void open() { marks_.push_back(visible_.size()); }
  void close() {
    for (; visible_.size() > marks_.back(); visible_.pop_back()) {
      if (const Variable& gone = all_[visible_.back()]; gone.span && !gone.is_used)
        unused_.push_back(visible_.back());
      auto& stack = by_name_.find(all_[visible_.back()].name)->second;
      stack.pop_back();
    }
    marks_.pop_back();
  }
  size_t depth() const { return marks_.size(); }
  size_t declare(std::string_view name, Type type, int function) {
    all_.push_back({std::string(name), std::move(type), function});
    visible_.push_back(all_.size() - 1);
    by_name_[std::string(name)].push_back(all_.size() - 1);
    return all_.size() - 1;
  }
  size_t find(std::string_view name) const {
    const auto it = by_name_.find(name);
    return it == by_name_.end() || it->second.empty() ? kNowhere : it->second.back();
  }
  Variable& at(size_t i) { return all_[i]; }
  // Variables that went out of view unread, since it was asked last.
  std::vector<size_t> take_unused() { return std::exchange(unused_, {}); }
  void assign(size_t i, Type type) {
    trail_.emplace_back(i, std::exchange(all_[i].type, all_[i].is_loose ? Type{} : std::move(type)));
  }

  using Changes = std::map<size_t, Type>;  // variables and what they hold after a branch
  size_t trail() const { return trail_.size(); }
  // Undoes what was assigned since `mark`, and tells what it was.
  Changes roll_back(size_t mark) {
    Changes changes;
    for (; trail_.size() > mark; trail_.pop_back()) {
      auto& [i, old] = trail_.back();
      changes.emplace(i, all_[i].type);  // the newest is met first and stays
      all_[i].type = std::move(old);
    }
    return changes;
  }
  // One of `ways` was taken.
  void merge(const std::vector<Changes>& ways) {
    Changes joined;
    for (const Changes& way : ways) {
      for (const auto& [i, type] : way) joined.emplace(i, type);
    }
    for (auto& [i, type] : joined) {
      for (const Changes& way : ways) {
        const auto it = way.find(i);
        type = join(type, it == way.end() ? all_[i].type : it->second);
      }
    }
    for (auto& [i, type] : joined) assign(i, std::move(type));
  }

 private:
  std::vector<Variable> all_;
  std::vector<size_t> visible_, marks_, unused_;
  std::map<std::string, std::vector<size_t>, std::less<>> by_name_;
  std::vector<std::pair<size_t, Type>> trail_;
};

}  // namespace tl::sema
