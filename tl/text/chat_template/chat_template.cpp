#include "tl/text/chat_template/chat_template.h"

#include "tl/text/chat_template/evaluator.h"

namespace tl {

Result<ChatTemplate> ChatTemplate::parse(std::string_view text) {
  TL_TRY(jinja::Block block, jinja::parse(text));
  return ChatTemplate(std::make_shared<const jinja::Block>(std::move(block)));
}

Result<std::string> ChatTemplate::render(std::span<const ChatMessage> messages,
                                         const ChatOptions& options) const {
  jinja::List list;
  for (const ChatMessage& message : messages) {
    list.push_back(jinja::Dict{{"role", message.role}, {"content", message.content}});
  }
  return render(TemplateValue(std::move(list)), options);
}

Result<std::string> ChatTemplate::render(const TemplateValue& messages, const ChatOptions& options) const {
  std::vector<std::pair<std::string, TemplateValue>> variables = {
      {"messages", messages},
      {"add_generation_prompt", options.add_generation_prompt},
      {"bos_token", options.bos},
      {"eos_token", options.eos}};
  for (const auto& item : options.extra) variables.push_back(item);
  jinja::Evaluator evaluator(options.now);
  return evaluator.run(*block_, std::move(variables));
}

}  // namespace tl
