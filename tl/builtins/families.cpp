// The families of builtins: which file's natives, and which stretch of ops.def, belong to which.
#include "tl/builtins/families.h"

#include <algorithm>
#include <unordered_map>

#include "tl/base/check.h"
#include "tl/builtins/reference.h"
#include "tl/ops/find_op.h"

namespace tl::lang {
namespace {

constexpr NativeRows kNativeRows[] = {
    {"lists", list_natives},       {"text", string_natives},     {"numbers", scalar_natives},
    {"world", io_natives},         {"machine", system_natives},  {"machine", runtime_natives},
    {"tensors", tensor_natives},   {"counted", counted_natives}, {"models", model_natives},
    {"random", random_natives},    {"functions", task_natives},  {"functions", vmap_natives},
    {"functions", repeat_natives}, {"layers", nn_natives},       {"sampling", sampling_natives},
    {"graphs", graph_natives},     {"old", first_natives},       {"old", candle_natives},
    {"maps", map_natives},         {"lists", sequence_natives},  {"data", data_natives},
    {"arrays", array_natives},     {"algebra", linalg_natives},  {"machine", raw_natives},
};

// The ops of ops.def from `first` up to the next one that is named here.
struct OpRows {
  std::string_view first, family;
};
constexpr OpRows kOpRows[] = {
    {"softmax", "rows"},         {"rope", "positions"},  {"dequantize", "weights"},
    {"linear", "products"},      {"sum", "reductions"},  {"sort", "sorting"},
    {"counted_rows", "counted"}, {"count_true", "bits"}, {"repetition_penalty", "sampling"},
    {"reshape", "views"},        {"neg", "elementwise"}, {"zeros", "creation"},
};

// In the order of the page.
constexpr BuiltinFamily kFamilies[] = {
    {"lists", "lists, tuples, ranges, and functions over them"},
    {"maps", "maps and sets"},
    {"text", "strings"},
    {"numbers", "plain numbers, conversions and types"},
    {"world", "printing, input, files, time, checks, leaving"},
    {"data", "JSON and tables of text, files and folders, dates"},
    {"machine", "tensors in files, JSON, and what a program can ask about its run"},
    {"functions", "functions on threads of their own, over batches, and in rounds on the device"},
    {"creation", "tensors out of numbers"},
    {"tensors", "conversions of tensors, and questions about them"},
    {"views", "other shapes and parts of tensors, joins, gathering"},
    {"elementwise", "every element on its own"},
    {"reductions", "sums, extremes and other reductions over axes"},
    {"sorting", "order"},
    {"arrays", "parts moved about, grids, sums over neighbours, chance"},
    {"algebra", "linear algebra and Fourier transforms"},
    {"products", "products with matrices, embedding, attention"},
    {"rows", "normalisations of rows, and masks"},
    {"layers", "layers of a few ops each"},
    {"positions", "rotary and sinusoidal positions"},
    {"weights", "quantised weights"},
    {"counted", "results whose size depends on data"},
    {"bits", "truth values as bits"},
    {"random", "generators of random numbers"},
    {"sampling", "penalties, filters and draws on logits"},
    {"models", "models, tokenizers and caches"},
    {"graphs", "knowledge graphs and graph networks"},
    {"old", "names that old programs use for what others do"},
};

struct Families {
  std::vector<BuiltinFamily> all{std::begin(kFamilies), std::end(kFamilies)};
  std::unordered_map<const Builtin*, size_t> of;
};

Families make_families() {
  Families families;
  const auto put = [&](const Builtin& row, std::string_view name) {
    const auto family = std::find_if(families.all.begin(), families.all.end(),
                                     [&](const BuiltinFamily& f) { return f.name == name; });
    TL_CHECK(family != families.all.end(), "{} is of the family '{}', which there is not", row.name, name);
    family->rows.push_back(&row);
    families.of[&row] = static_cast<size_t>(family - families.all.begin());
  };
  std::unordered_map<std::string_view, std::string_view> of_native, of_op;
  for (const NativeRows& natives : kNativeRows) {
    for (const Builtin& row : natives.rows()) of_native[row.name] = natives.family;
  }
  size_t stretches = 0;
  std::string_view family;
  for (const OpDef* op : all_ops()) {
    const auto* begins = std::find_if(std::begin(kOpRows), std::end(kOpRows),
                                      [op](const OpRows& rows) { return rows.first == op->name; });
    if (begins != std::end(kOpRows)) family = begins->family, ++stretches;
    of_op[op->name] = family;
  }
  TL_CHECK(stretches == std::size(kOpRows), "families of ops begin with ops that there are not");
  for (const Builtin& row : all_builtins()) {  // a native that hides an op stands where the op would
    const auto op = of_op.find(row.name);
    put(row, op != of_op.end() ? op->second : of_native[row.name]);
  }
  return families;
}

const Families& families() {
  static const Families* const all = new Families(make_families());
  return *all;
}

}  // namespace

std::span<const NativeRows> all_native_rows() {
  return kNativeRows;
}

std::span<const BuiltinFamily> builtin_families() {
  return families().all;
}

const BuiltinFamily& family_of(const Builtin& builtin) {
  return families().all[families().of.at(&builtin)];
}

const BuiltinFamily* find_family(std::string_view name) {
  const auto all = builtin_families();
  const auto it =
      std::find_if(all.begin(), all.end(), [&](const BuiltinFamily& f) { return f.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace tl::lang
