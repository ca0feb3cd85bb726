#include "tl/interp/instance.h"

#include <algorithm>

namespace tl::interp {

Instance::Instance(const Program& program, lang::Host& host)
    : program_(program), host_(host), tasks_(program, host), vm_(program, host, tasks_) {
  if (host.interrupts != nullptr) host.interrupts->limit = program.asks_for_interrupts ? 2 : 1;
}

// With the end of its tasks, and what a failure leaves put in order.
template <typename Run>
Result<Value> Instance::whole(Run run) {
  const Recorder::Generator before = host_.executor.recorder().generator();
  Result<Value> result = run();
  if (result.ok()) {
    if (Result<void> done = vm_.finish_tasks(); !done.ok()) result = std::move(done).error();
  }
  if (result.ok()) return result;
  trace_ = vm_.trace();
  exit_code_ = vm_.exit_code();
  vm_.recover();
  if (result.error().code == Code::Interrupted) host_.executor.recorder().set_generator(before);
  return result;
}

Result<void> Instance::start() {
  TL_TRY_DO(whole([&]() -> Result<Value> {
    for (const int part : program_.initialisers) TL_TRY_DO(vm_.run_proto(part));
    return Value::unit();
  }));
  return {};
}

Result<void> Instance::run_more(std::span<const int> parts) {
  vm_.grow();
  TL_TRY_DO(whole([&]() -> Result<Value> {
    for (const int part : parts) TL_TRY_DO(vm_.run_proto(part));
    return Value::unit();
  }));
  return {};
}

Result<Value> Instance::call(std::string_view function, std::span<const Value> args) {
  const auto found = std::find_if(program_.functions.begin(), program_.functions.end(),
                                  [&](const NamedProto& f) { return f.name == function; });
  if (found == program_.functions.end()) return fail(Code::BadProgram, "no function '{}'", function);
  return whole([&] { return vm_.call(*program_.protos[static_cast<size_t>(found->proto)], args); });
}

Result<void> Instance::run_block(const NamedProto& block) {
  TL_TRY_DO(whole([&] { return vm_.run_proto(block.proto); }));
  return {};
}

}  // namespace tl::interp
