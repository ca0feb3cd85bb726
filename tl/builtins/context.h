// What a builtin may reach while it runs: the executor, the outside world (Host), the place in the program
// that called it, and a way to call functions of the program back.
#pragma once

#include <atomic>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tl/builtins/interrupts.h"
#include "tl/exec/executor.h"
#include "tl/value/text.h"
#include "tl/value/value.h"

namespace tl {
class Tokenizer;
}

namespace tl::lang {

// Where a program's output goes.
class Output {
 public:
  virtual ~Output() = default;
  virtual Result<void> write(std::string_view text) = 0;
  virtual Result<void> flush() = 0;
};

// Buffers; flush() hands what is there to the file.
class FileOutput : public Output {
 public:
  explicit FileOutput(std::FILE* file) : file_(file) {}
  ~FileOutput() override;
  Result<void> write(std::string_view text) override;
  Result<void> flush() override;
  // The reader went away (EPIPE): the program is to end without a word.
  bool is_closed() const { return is_closed_; }

 private:
  std::FILE* file_;
  std::string buffer_;
  bool is_closed_ = false;
};

class StringOutput : public Output {
 public:
  Result<void> write(std::string_view text) override {
    text_ += text;
    return {};
  }
  Result<void> flush() override { return {}; }
  const std::string& text() const { return text_; }
  std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
};

// The world of one run; everything outlives it.
struct Host {
  Executor& executor;
  Output& out;
  Output& err;
  std::FILE* in = stdin;               // null in a task
  std::vector<std::string> args = {};  // what args() gives
  Interrupts* interrupts = nullptr;    // null: nobody can interrupt
  // Its caller goes on when it has been interrupted: what was submitted until then is computed all the same.
  bool outlives_interrupts = false;
  // Set when a task is to end: nobody will look at what it computes. Null: this is no task.
  const std::atomic<bool>* stop = nullptr;
  // A line typed at a prompt, with editing where there is a terminal; empty at the end of input.
  std::function<std::optional<std::string>(const std::string& prompt)> ask = {};
  // Is told of every tokenizer that the program opens. Any thread.
  std::function<void(std::shared_ptr<const Tokenizer>)> opened = {};
};

inline ReadTensor read_with(Executor& executor) {
  return [&executor](const Tensor& tensor) { return executor.read(tensor); };
}

// Is told which numbers of the program went into tensors, while a function is traced (tl/interp/tracer.h).
class ValueTracer {
 public:
  virtual ~ValueTracer() = default;
  virtual void made_scalar(const Tensor& tensor, const Value& from) = 0;
  virtual void made_literal(const Tensor& tensor, std::span<const Value> elements) = 0;
  virtual void loaded(const Tensor& weight) = 0;  // of a model's file
  // A builtin decides by what a function of the program gave it.
  virtual void looks_at(const Value& value) = 0;
};

struct CallContext {
  Host& host;
  Span span = {};
  // Calls a function value; set by the interpreter.
  std::function<Result<Value>(const Value& function, std::span<const Value> args)> call = {};
  // The same for a function that is called once for many runs of it: it fails where it would change what was
  // there before. What it gives must be copied.
  std::function<Result<Value>(const Value& function, std::span<const Value> args)> call_pure = {};
  // Tasks: functions that run on threads of their own (tl/builtins/task.h); set by the interpreter.
  std::function<Result<Value>(const Value& function, std::span<const Value> args)> spawn = {};
  std::function<Result<Value>(const Value& task)> join = {};
  std::function<Result<Value>(std::span<const Value> items, const Value& function)> par_map = {};
  ValueTracer* tracer = nullptr;      // null: nothing is traced
  std::optional<int> exit_code = {};  // set by exit(), together with a failure that unwinds

  Executor& executor() { return host.executor; }
  // For printing, which sees no executor.
  ReadTensor reader() { return read_with(host.executor); }
  // For builtins that work for long: fails once the program, or the task, is to end.
  Result<void> go_on() const {
    const bool ends = (host.interrupts != nullptr && host.interrupts->is_over()) ||
                      (host.stop != nullptr && host.stop->load(std::memory_order_relaxed));
    return ends ? Result<void>(fail(Code::Interrupted, "interrupted")) : Result<void>();
  }
};

}  // namespace tl::lang
