#include "tl/observe/sampling_log.h"

#include <algorithm>
#include <cmath>

#include "tl/base/utf8.h"
#include "tl/observe/place.h"
#include "tl/ops/ops.h"

namespace tl {
namespace {

constexpr i64 kShown = 10;

// `"text"`, with everything that would disturb a line escaped.
std::string quoted(std::string_view bytes) {
  std::string text = "\"";
  for (const char c : bytes) {
    const unsigned char u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (u < 0x20 || u == 0x7f) {
      text += fmt::format("\\x{:02x}", u);
    } else {
      text += c;
    }
  }
  return text + '"';
}

}  // namespace

SamplingLog::SamplingLog(const SourceFiles& files, Piece piece, Write write)
    : files_(files), piece_(std::move(piece)), write_(std::move(write)) {}

// Greedy choices are an argmax, which other work is too: only over the tokens of a known vocabulary does it
// count.
void SamplingLog::ran(const Batch& batch, size_t index, StreamId, i64, i64, i64) {
  const Command& c = batch.commands[index];
  const bool draws = c.op == &op_sample || c.op == &op_sample_probs;
  if ((!draws && c.op != &op_argmax) || c.is_skipped) return;
  if (batch.outcome && batch.outcome->failure_of(c.step) != nullptr) return;
  const Operand& logits = batch.inputs_of(c)[0];
  const Operand& chosen = batch.outputs_of(c)[0];
  if (logits.data == nullptr || logits.rank() == 0) return;
  const i64 rows = logits.rows();
  if (chosen.numel() != rows || (!draws && !piece_(0, logits.cols()))) return;
  std::string text;
  for (i64 row = 0; row < rows; ++row)
    text += row_text(logits, row, load_as_int(chosen.dtype, chosen.data, row), c.origin);
  write_(text);
}

std::string SamplingLog::row_text(const Operand& logits, i64 row, i64 chosen, Span origin) const {
  const i64 n = logits.cols();
  std::vector<std::pair<double, i64>> all(static_cast<size_t>(n));
  for (i64 i = 0; i < n; ++i) {
    const i64 at = strided_offset(row * n + i, logits.dims, logits.strides);
    all[static_cast<size_t>(i)] = {load_as_double(logits.dtype, logits.data, at), i};
  }
  const i64 shown = std::min(kShown, n);
  const auto is_before = [](const auto& a, const auto& b) {
    if (std::isnan(a.first) != std::isnan(b.first)) return std::isnan(b.first);
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  std::partial_sort(all.begin(), all.begin() + shown, all.end(), is_before);
  const auto token_text = [&](i64 token) {
    const std::optional<std::string> piece = piece_(token, n);
    return piece ? fmt::format("{} {}", token, quoted(*piece)) : fmt::format("{}", token);
  };
  std::string text = fmt::format("sampled {} at {}, of\n", token_text(chosen), place_of(files_, origin));
  for (i64 i = 0; i < shown; ++i) {
    const auto& [value, token] = all[static_cast<size_t>(i)];
    text += fmt::format("  {:>10.4f}  {}\n", value, token_text(token));
  }
  return text;
}

}  // namespace tl
