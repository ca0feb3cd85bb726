// A model's chat template: turns a conversation into the text the model was trained on. Templates are
// programs in the subset of Jinja that models use, run with bounds on time and memory.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tl/base/result.h"
#include "tl/text/chat_template/ast.h"
#include "tl/text/chat_template/value.h"

namespace tl {

using TemplateValue = jinja::Value;

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

struct ChatOptions {
  bool add_generation_prompt = true;                              // ends with the beginning of the answer
  std::string bos, eos;                                           // the spellings of the model's tokens
  std::vector<std::pair<std::string, TemplateValue>> extra = {};  // more variables: tools, enable_thinking…
  std::optional<std::tm> now = {};                                // for strftime_now; empty: the clock
};

// Immutable and cheap to copy.
class ChatTemplate {
 public:
  // Fails with the line if the text is not a template, or uses what is not supported.
  static Result<ChatTemplate> parse(std::string_view text);

  // Fails if the template refuses the conversation (its own message), does what is not allowed, or takes too
  // long.
  Result<std::string> render(std::span<const ChatMessage> messages, const ChatOptions& options) const;
  // Messages with more than a role and a text: a list of dictionaries.
  Result<std::string> render(const TemplateValue& messages, const ChatOptions& options) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const jinja::Block> block) : block_(std::move(block)) {}

  std::shared_ptr<const jinja::Block> block_;
};

}  // namespace tl
