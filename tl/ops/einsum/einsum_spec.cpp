#include "tl/ops/einsum/einsum_spec.h"

#include <algorithm>
#include <limits>

namespace tl {
namespace {

// One side of a comma: the letters before and after `...`.
struct Term {
  Labels before, after;
  bool has_ellipsis = false;
  std::string text;
  int letters() const { return static_cast<int>(before.size() + after.size()); }
};

std::string name_of_label(int label) {
  if (label >= kEllipsis) return "...";
  return std::string(1, static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26));
}

int label_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  return -1;
}

Result<Term> parse_term(std::string_view text, std::string_view spec) {
  Term term;
  term.text = text;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) == "...") {
      if (term.has_ellipsis) return fail(Code::BadProgram, "'...' stands twice in \"{}\"", text);
      term.has_ellipsis = true;
      i += 2;
      continue;
    }
    const int label = label_of(text[i]);
    if (label < 0) {
      return fail(Code::BadProgram, "found '{}' in \"{}\", want letters, ',', '->' and '...'", text[i], spec);
    }
    (term.has_ellipsis ? term.after : term.before).push_back(label);
  }
  return term;
}

struct Terms {
  std::vector<Term> inputs;
  Term output;
  bool has_output = false;
};

Result<Terms> split_spec(std::string_view spec) {
  std::string text;
  for (const char c : spec) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') text += c;
  }
  Terms terms;
  std::string_view left = text;
  if (const size_t arrow = left.find("->"); arrow != std::string_view::npos) {
    terms.has_output = true;
    TL_TRY(terms.output, parse_term(left.substr(arrow + 2), spec));
    left = left.substr(0, arrow);
  }
  for (;;) {
    const size_t comma = left.find(',');
    TL_TRY(Term term, parse_term(left.substr(0, comma), spec));
    terms.inputs.push_back(std::move(term));
    if (comma == std::string_view::npos) return terms;
    left = left.substr(comma + 1);
  }
}

void append_ellipsis(Labels& labels, int count) {
  for (int k = count - 1; k >= 0; --k) labels.push_back(kEllipsis + k);
}

Result<void> note_sizes(EinsumSpec& spec, std::span<const Shape> inputs) {
  std::array<int, kLabels> from{};  // which input, from 1, gave the size
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (int axis = 0; axis < inputs[i].size(); ++axis) {
      const int label = spec.inputs[i][static_cast<size_t>(axis)];
      const i64 found = inputs[i][axis];
      i64& known = spec.size[static_cast<size_t>(label)];
      int& first = from[static_cast<size_t>(label)];
      const bool may_stretch = label >= kEllipsis && (found == 1 || known == 1);
      if (first == 0 || (known == kUnknownDim && (label < kEllipsis || found != 1)) ||
          (may_stretch && found != 1)) {
        known = found;
        first = static_cast<int>(i) + 1;
      } else if (!may_stretch && !same_dim(known, found)) {
        const Shape& other = inputs[static_cast<size_t>(first - 1)];
        return fail(Code::BadProgram, "index '{}' is {} in input {} and {} in input {} ({} and {})",
                    name_of_label(label), known, first, found, i + 1, to_string(other), to_string(inputs[i]));
      }
    }
  }
  return {};
}

// The output's labels: as written, or `...` and the letters that occur once.
Result<void> note_output(EinsumSpec& spec, const Terms& terms, int ellipsis) {
  std::array<int, kLabels> uses{};
  for (const Labels& labels : spec.inputs) {
    for (const int l : labels) ++uses[static_cast<size_t>(l)];
  }
  if (!terms.has_output) {
    append_ellipsis(spec.output, ellipsis);
    for (int l = 0; l < kEllipsis; ++l) {
      if (uses[static_cast<size_t>(l)] == 1) spec.output.push_back(l);
    }
  } else {
    LabelSet seen = 0;
    for (const Labels* part : {&terms.output.before, &terms.output.after}) {
      if (part == &terms.output.after && terms.output.has_ellipsis) append_ellipsis(spec.output, ellipsis);
      for (const int l : *part) {
        const std::string name = name_of_label(l);
        if (uses[static_cast<size_t>(l)] == 0)
          return fail(Code::BadProgram, "index '{}' of the output is in no input", name);
        if (contains(seen, l)) return fail(Code::BadProgram, "index '{}' stands twice in the output", name);
        seen |= u64{1} << l;
        spec.output.push_back(l);
      }
    }
  }
  if (spec.output.size() <= static_cast<size_t>(kMaxRank)) return {};
  return fail(Code::BadProgram, "the output has {} axes, want at most {}", spec.output.size(), kMaxRank);
}

}  // namespace

Result<EinsumSpec> parse_einsum(std::string_view text, std::span<const Shape> inputs) {
  TL_TRY(const Terms terms, split_spec(text));
  if (terms.inputs.size() != inputs.size()) {
    return fail(Code::BadProgram, "\"{}\" names {} inputs, found {}", text, terms.inputs.size(),
                inputs.size());
  }
  EinsumSpec spec;
  int ellipsis = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Term& term = terms.inputs[i];
    const int rank = inputs[i].size(), rest = rank - term.letters();
    if (rest < 0 || (rest > 0 && !term.has_ellipsis)) {
      return fail(Code::BadProgram, "\"{}\" names {} axes of input {}, which has {} ({})", term.text,
                  term.letters(), i + 1, rank, to_string(inputs[i]));
    }
    Labels labels = term.before;
    append_ellipsis(labels, rest);
    labels.insert(labels.end(), term.after.begin(), term.after.end());
    spec.inputs.push_back(std::move(labels));
    ellipsis = std::max(ellipsis, rest);
  }
  TL_TRY_DO(note_sizes(spec, inputs));
  TL_TRY_DO(note_output(spec, terms, ellipsis));
  return spec;
}

namespace {

using Path = std::vector<std::pair<int, int>>;

// Searches orders of contracting `sets`; what is not in another set or the output is summed before or within
// a step.
class OrderSearch {
 public:
  explicit OrderSearch(const EinsumSpec& spec) : size_(spec.size), output_(set_of(spec.output)) {}

  Path run(std::vector<LabelSet> sets) {
    if (sets.size() > 6) greedy(sets);
    explore(sets, 0);
    prefix_.insert(prefix_.end(), best_.begin(), best_.end());
    return prefix_;
  }

 private:
  double elements(LabelSet set) const {
    double n = 1;
    for (int l = 0; l < kLabels; ++l) {
      if (contains(set, l)) n *= static_cast<double>(size_[static_cast<size_t>(l)]);
    }
    return n;
  }

  // Contracts i and j of `sets` and returns what that costs: multiplications, and numbers written.
  double contract(std::vector<LabelSet>& sets, size_t i, size_t j) const {
    LabelSet others = output_;
    for (size_t k = 0; k < sets.size(); ++k) {
      if (k != i && k != j) others |= sets[k];
    }
    const LabelSet a = sets[i] & (sets[j] | others), b = sets[j] & (sets[i] | others),
                   kept = (a | b) & others;
    sets.erase(sets.begin() + static_cast<i64>(j));
    sets.erase(sets.begin() + static_cast<i64>(i));
    sets.push_back(kept);
    return elements(a | b) + elements(kept);
  }

  template <typename F>
  void each_pair(const std::vector<LabelSet>& sets, F f) const {
    for (size_t i = 0; i < sets.size(); ++i) {
      for (size_t j = i + 1; j < sets.size(); ++j) {
        std::vector<LabelSet> next = sets;
        const double cost = contract(next, i, j);
        f(std::pair(static_cast<int>(i), static_cast<int>(j)), next, cost);
      }
    }
  }

  void explore(const std::vector<LabelSet>& sets, double cost) {
    if (cost >= best_cost_) return;
    if (sets.size() < 2) {
      best_cost_ = cost;
      best_ = path_;
      return;
    }
    each_pair(sets, [&](std::pair<int, int> pair, const std::vector<LabelSet>& next, double step) {
      path_.push_back(pair);
      explore(next, cost + step);
      path_.pop_back();
    });
  }

  // Takes the cheapest steps until six sets are left.
  void greedy(std::vector<LabelSet>& sets) {
    while (sets.size() > 6) {
      double least = std::numeric_limits<double>::infinity();
      std::vector<LabelSet> after = sets;
      std::pair<int, int> chosen{0, 1};
      each_pair(sets, [&](std::pair<int, int> pair, const std::vector<LabelSet>& next, double step) {
        if (step >= least) return;
        least = step;
        chosen = pair;
        after = next;
      });
      prefix_.push_back(chosen);
      sets = after;
    }
  }

  const std::array<i64, kLabels>& size_;
  LabelSet output_;
  Path prefix_, path_, best_;
  double best_cost_ = std::numeric_limits<double>::infinity();
};

}  // namespace

std::vector<std::pair<int, int>> einsum_order(const EinsumSpec& spec) {
  std::vector<LabelSet> sets;
  for (const Labels& labels : spec.inputs) sets.push_back(set_of(labels));
  return OrderSearch(spec).run(std::move(sets));
}

}  // namespace tl
