// TL_DEBUG_SAMPLING: what a model thought of its next token. For every row that a token is drawn from, the
// ten largest logits.
#pragma once

#include <functional>
#include <optional>

#include "tl/device/stream.h"
#include "tl/diag/source.h"

namespace tl {

class SamplingLog : public CommandObserver {
 public:
  // The bytes of a token of a vocabulary of that size, if there is a tokenizer for it. Any thread.
  using Piece = std::function<std::optional<std::string>(i64 token, i64 vocabulary)>;
  using Write = std::function<void(const std::string& text)>;
  SamplingLog(const SourceFiles& files, Piece piece, Write write);
  void ran(const Batch& batch, size_t command, StreamId stream, i64 begin_ns, i64 end_ns,
           i64 busy_ns) override;

 private:
  std::string row_text(const Operand& logits, i64 row, i64 chosen, Span origin) const;

  const SourceFiles& files_;
  const Piece piece_;
  const Write write_;
};

}  // namespace tl
