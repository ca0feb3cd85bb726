// What is typed at a prompt, one input after the other: what `tl repl` and its JSON form drive.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tl/api/devices.h"
#include "tl/diag/source.h"
#include "tl/exec/executor.h"

namespace tl {

namespace lang {
class Output;
struct Host;
struct Interrupts;
}  // namespace lang
namespace interp {
class Prompt;
}

// How an input ended.
struct PromptAnswer {
  bool is_ok = false;
  bool was_interrupted = false;
  std::string value;         // what it gives as text, strings in quotes; empty: nothing to show
  std::string type;          // of that
  std::string messages;      // what went wrong, with source lines
  double seconds = 0;        // until the value was there
  std::optional<int> exits;  // exit() was called
};

// Of one thread, apart from cancel().
class PromptSession {
 public:
  using Ask = std::function<std::optional<std::string>(const std::string& prompt)>;

  static Result<std::unique_ptr<PromptSession>> create(const DeviceOptions& device, const ExecOptions& exec,
                                                       lang::Output& out, lang::Output& err, Ask ask = {});
  ~PromptSession();

  // Variables, functions and structs of inputs before are visible, and may be declared anew. After a failure
  // what was assigned until then stays. `colour`: of messages.
  PromptAnswer run(const std::string& input, bool colour = false);
  // Whether more lines may make it a program.
  static bool is_unfinished(const std::string& input);
  // Ends the input that runs; false: none does. Any thread, and signal handlers.
  bool cancel();
  // Everything that can be called or named: what inputs declared, builtins, keywords.
  std::vector<std::string> names() const;

 private:
  PromptSession();
  void show(PromptAnswer& answer, const Error& error, bool colour) const;

  std::unique_ptr<Device> device_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<lang::Interrupts> interrupts_;
  std::unique_ptr<lang::Host> host_;
  SourceFiles files_;
  std::unique_ptr<interp::Prompt> prompt_;
  int inputs_ = 0;
};

}  // namespace tl
