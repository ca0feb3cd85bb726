// Failures that the program handles: try, catch, finally, defer.
#include "tl/diag/source.h"
#include "tl/interp/vm.h"

namespace tl::interp {

namespace {

// What `e` of `catch e` is. Its fields are for the program, the rest for who lets it go on.
struct Failure : lang::Struct {
  Failure(const lang::StructType& type, Error e, std::vector<TraceEntry> t, std::string_view by)
      : Struct(type), error(std::move(e)), trace(std::move(t)), raised_by(by) {}
  const Error error;
  const std::vector<TraceEntry> trace;
  const std::string_view raised_by;
};

const StructInfo& failure_type() {
  static const StructInfo type = [] {
    StructInfo info;
    info.name = "Error";
    info.fields = {"message", "code", "line"};
    info.field_types.resize(3);
    return info;
  }();
  return type;
}

std::string_view code_name(Code code) {
  switch (code) {
    case Code::BadFile:
      return "bad_file";
    case Code::Unsupported:
      return "unsupported";
    case Code::Io:
      return "io";
    case Code::OutOfMemory:
      return "memory";
    case Code::Device:
      return "device";
    case Code::BadProgram:
      return "program";
    case Code::Interrupted:
      return "interrupted";
  }
  return "";
}

// Ctrl-C, exit() and a device, or a runtime, that does not do what it should are nobody's to handle.
bool can_be_handled(const Error& error) {
  return error.code != Code::Interrupted && error.code != Code::Device;
}

}  // namespace

void Vm::begin_try(const Instr& i) {
  handlers_.push_back(
      {frames_.size() - 1, frames_.back().proto->code.data() + i.wide(), i.a,
       (i.takes & kUnwatched) != 0 ? nullptr : std::make_unique<WatchNodes>(host_.executor.recorder())});
}

bool Vm::end_try() {
  // A wait that fails belongs to the block: its handler is still there.
  if (handlers_.back().watch != nullptr) {
    for (const Tensor& tensor : handlers_.back().watch->living()) {
      if (auto done = host_.executor.wait(tensor); !done.ok()) return fail_with(std::move(done).error());
    }
  }
  handlers_.pop_back();
  return true;
}

bool Vm::rethrow(const Value& failure) {
  const auto& found = static_cast<const Failure&>(failure.as<lang::Struct>());
  trace_ = found.trace;
  raised_by_ = found.raised_by;
  return fail_with(found.error);
}

void Vm::drop_handlers(size_t depth) {
  while (!handlers_.empty() && handlers_.back().frame >= depth) handlers_.pop_back();
}

// error_ as the program sees it.
Value Vm::failure_value() {
  const bool is_panic = raised_by_ == "panic" || raised_by_ == "fail";
  const bool is_assertion = raised_by_.starts_with("assert");
  std::string message = error_.message;
  if (is_panic && message.starts_with("panic: ")) message.erase(0, 7);
  i64 line = 0;
  if (error_.where && program_.files != nullptr)
    line = program_.files->locate(error_.where.file, error_.where.begin).line;
  auto* failure = new Failure(failure_type(), std::move(error_), std::move(trace_), raised_by_);
  Value value(failure);
  failure->fields[0] = lang::make_string(std::move(message));
  failure->fields[1] = lang::make_string(std::string(is_panic       ? "panic"
                                                     : is_assertion ? "assertion"
                                                                    : code_name(failure->error.code)));
  failure->fields[2] = Value(line);
  error_ = {};
  trace_.clear();
  raised_by_ = {};
  return value;
}

bool Vm::handle(size_t depth) {
  while (!handlers_.empty() && handlers_.back().frame >= depth && can_be_handled(error_)) {
    Handler handler = std::move(handlers_.back());
    handlers_.pop_back();
    if (!error_.where) error_.where = span_of(frames_.back());
    for (size_t k = frames_.size(); k > handler.frame; --k) {
      if (trace_.size() < 100) trace_.push_back({frames_[k - 1].proto->name, span_of(frames_[k - 1])});
    }
    unwind(handler.frame + 1);
    Frame& frame = frames_.back();
    for (u16 reg = handler.reg; reg < frame.proto->registers; ++reg) frame.base[reg].clear();
    // What the block has recorded and has outlived it may have failed before, and then that is the failure.
    bool is_handled = true;
    if (handler.watch != nullptr) {
      for (const Tensor& tensor : handler.watch->living()) {
        Result<void> done = host_.executor.wait(tensor);
        if (done.ok()) continue;
        is_handled = can_be_handled(done.error());
        error_ = std::move(done).error();
        raised_by_ = {};
        break;
      }
    }
    if (!is_handled) break;
    frame.base[handler.reg] = failure_value();
    frame.pc = handler.pc;
    return true;
  }
  drop_handlers(depth);
  return false;
}

}  // namespace tl::interp
