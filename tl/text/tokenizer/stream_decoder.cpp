#include "tl/text/tokenizer/stream_decoder.h"

#include <utility>

#include "tl/base/utf8.h"

namespace tl {

Result<std::string> StreamDecoder::feed(TokenId id) {
  if (id >= tokenizer_->size()) {
    return fail(Code::BadProgram, "token {} is not in the vocabulary of {}", id, tokenizer_->size());
  }
  if (options_.skip_special && tokenizer_->is_special(id)) return std::string();
  std::string_view text = tokenizer_->bytes(id);
  const bool strip = std::exchange(at_start_, at_start_ && text.empty());
  if (strip && text.starts_with(' ')) text.remove_prefix(1);
  pending_ += text;
  const size_t held = utf8::unfinished_tail(pending_);
  std::string ready = pending_.substr(0, pending_.size() - held);
  pending_.erase(0, ready.size());
  return ready;
}

std::string StreamDecoder::finish() {
  at_start_ = tokenizer_->spec().strip_leading_space;
  return std::exchange(pending_, {});
}

}  // namespace tl
