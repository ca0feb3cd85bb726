// Any text as a chat template, rendered with a conversation.
#include "tl/text/chat_template/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tl;
  if (size > 4096) return 0;
  auto chat = ChatTemplate::parse({reinterpret_cast<const char*>(data), size});
  if (!chat.ok()) return 0;
  const ChatMessage messages[] = {{"system", " Be brief.\n"}, {"user", "Hi \xff"}, {"assistant", "Hello"}};
  auto text = chat->render(messages, {.bos = "<s>", .eos = "</s>", .now = std::tm{}});
  TL_CHECK(text.ok() || text.error().message.starts_with("chat template, line "));
  return 0;
}
