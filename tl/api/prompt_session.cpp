#include "tl/api/prompt_session.h"

#include <algorithm>
#include <chrono>

#include "tl/api/paths.h"
#include "tl/api/trace_text.h"
#include "tl/diag/print.h"
#include "tl/interp/prompt.h"
#include "tl/syntax/lexer.h"
#include "tl/syntax/parser.h"

namespace tl {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : std::string(1, c);
  }
  return out + "\"";
}

// "float32[2, 3]", "int", "string".
std::string type_text(const lang::Value& value) {
  const auto* t = value.get_if<lang::TensorValue>();
  if (t == nullptr) return std::string(lang::type_name(value));
  return to_string(t->tensor.type());
}

}  // namespace

PromptSession::PromptSession() = default;

// Values before the executor and device that their tensors are of.
PromptSession::~PromptSession() {
  prompt_.reset();
}

Result<std::unique_ptr<PromptSession>> PromptSession::create(const DeviceOptions& device,
                                                             const ExecOptions& exec, lang::Output& out,
                                                             lang::Output& err, Ask ask) {
  std::unique_ptr<PromptSession> s(new PromptSession);
  TL_TRY(s->device_, create_device(device));
  TL_TRY(s->executor_, Executor::create(*s->device_, exec));
  s->interrupts_ = std::make_unique<lang::Interrupts>();
  s->interrupts_->end();
  s->host_ = std::make_unique<lang::Host>(lang::Host{.executor = *s->executor_, .out = out, .err = err});
  s->host_->in = nullptr;
  s->host_->interrupts = s->interrupts_.get();
  s->host_->outlives_interrupts = true;
  s->host_->ask = std::move(ask);
  s->prompt_ = std::make_unique<interp::Prompt>(s->files_, share_dir(), *s->host_);
  return s;
}

void PromptSession::show(PromptAnswer& answer, const Error& error, bool colour) const {
  answer.was_interrupted = error.code == Code::Interrupted;
  answer.messages += render(error, files_, {.colour = colour}) + trace_text(prompt_->trace(), files_);
}

PromptAnswer PromptSession::run(const std::string& input, bool colour) {
  PromptAnswer answer;
  Diagnostics diags;
  const FileId file = files_.add(fmt::format("input {}", ++inputs_), input);
  const auto started = std::chrono::steady_clock::now();
  interrupts_->begin();
  std::optional<Result<lang::Value>> result = prompt_->run(file, diags);
  if (result && result->ok() && !(**result).is_unit()) {
    const lang::Value& value = **result;
    answer.type = type_text(value);
    Result<std::string> text = lang::text_of(lang::read_with(*executor_), value);
    if (text.ok()) {
      answer.value = value.get_if<lang::String>() != nullptr ? quoted(text.value()) : std::move(text).value();
    } else {
      result = std::move(text).error();
    }
  }
  interrupts_->end();
  for (lang::Output* output : {&host_->out, &host_->err})
    (void)output->flush();  // a closed pipe ends the session
  answer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  diags.sort();
  answer.messages = render(diags, files_, {.colour = colour});
  answer.is_ok = result && result->ok();
  if (!result) return answer;
  answer.exits = prompt_->exit_code();
  if (!result->ok() && !answer.exits) show(answer, result->error(), colour);
  return answer;
}

bool PromptSession::is_unfinished(const std::string& input) {
  SourceFiles files;
  Diagnostics diags;
  return parse(files, files.add("", input), diags)->ends_early;
}

bool PromptSession::cancel() {
  return interrupts_->cancel();
}

std::vector<std::string> PromptSession::names() const {
  std::vector<std::string> names = prompt_->names();
  for (const lang::Builtin& b : lang::all_builtins()) names.emplace_back(b.name);
  for (const std::string_view keyword : all_keywords()) names.emplace_back(keyword);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace tl
