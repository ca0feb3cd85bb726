// Calls of methods, values and builtins.
#include <algorithm>

#include "tl/interp/vm.h"

namespace tl::interp {

using lang::ObjectKind;

// One after the other: what a `drop` lets go of waits for its end.
bool Vm::run_drops() {
  if (std::exchange(is_dropping_, true)) return true;
  if (tracer_ != nullptr) tracer_->abort("it lets go of something with a drop");
  std::vector<Value>& values = drops_.values;
  bool is_done = true;
  size_t at = 0;
  while (is_done && at < values.size()) {
    const Value value = std::move(values[at++]);
    const auto& info = static_cast<const StructInfo&>(value.as<lang::Struct>().type);
    const Proto& proto = *program_.protos[static_cast<size_t>(info.methods.find("drop")->second)];
    Value ignored;
    is_done = take(call_back(Value(new lang::Function(&proto, proto.name)), {&value, 1}), ignored);
  }
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at));
  is_dropping_ = false;
  return is_done;
}

Result<void> Vm::drop_globals() {
  if (!program_.has_drops) return {};
  for (size_t i = globals_.size(); i > 0; --i) {
    globals_[i - 1].clear();
    if (!run_drops()) return error_;
  }
  return {};
}

Result<Value> Vm::call_pure(const Value& function, std::span<const Value> args) {
  PureCall pure(pure_);
  PureCall* const around = std::exchange(pure_, &pure);
  Result<Value> result = call_back(function, args);
  pure_ = around;
  return result;
}

bool Vm::call_native(const Builtin& builtin, std::span<Value> args, Value* dst) {
  if (pure_ != nullptr && !allow(pure_->check(builtin, args))) return false;
  Value result;
  const bool is_known = tracer_ != nullptr && tracer_->call(builtin, args, result);
  const bool done = is_known || take(call_builtin(builtin, ctx_, args), result);
  if (!done && (builtin.effect == lang::Effect::Io || builtin.name == "fail" || builtin.name == "panic"))
    raised_by_ = builtin.name;
  if (tracer_ != nullptr) tracer_->after_call();
  for (Value& arg : args) arg.clear();
  *dst = std::move(result);
  free_cycles();
  return go_on() && done;  // it may have waited, and failed because it was interrupted
}

bool Vm::call_native_arranged(const CallSite& site, Value* args, Value* dst) {
  const std::vector<int>& order = site.builtin_order;
  bool in_place = order.size() >= site.count;
  for (size_t i = 0; in_place && i < order.size(); ++i)
    in_place = order[i] == (i < site.count ? static_cast<int>(i) : -1);
  if (in_place) {
    for (size_t i = site.count; i < order.size(); ++i) args[i].clear();
    return call_native(*site.builtin, {args, order.size()}, dst);
  }
  std::vector<Value> arranged;
  arranged.reserve(order.size());
  for (const int at : order) arranged.push_back(at < 0 ? Value() : std::move(args[at]));
  return call_native(*site.builtin, arranged, dst);
}

size_t Vm::pack_variadic(const Proto& proto, Value* args, size_t count, size_t positional) {
  const size_t own = proto.params.size() - 1;
  if (positional <= own) return count;
  std::vector<Value> items(std::make_move_iterator(args + own), std::make_move_iterator(args + positional));
  args[own] = lang::make_list(std::move(items));
  const size_t fewer = positional - own - 1;
  for (size_t k = positional; fewer > 0 && k < count; ++k) args[k - fewer] = std::move(args[k]);
  return count - fewer;
}

bool Vm::arrange_named(const Proto& proto, const std::vector<std::string>& names, Value* args, size_t count,
                       size_t& given) {
  std::vector<std::string> left;  // names once what is variadic is one argument
  if (!proto.params.empty() && proto.params.back().is_variadic) {
    const auto named = std::find_if(names.begin(), names.end(), [](const auto& n) { return !n.empty(); });
    const size_t positional = names.empty() ? count : static_cast<size_t>(named - names.begin());
    count = pack_variadic(proto, args, count, positional);
    if (!names.empty()) {
      left.resize(std::min(positional, proto.params.size()));
      left.insert(left.end(), named, names.end());
    }
  } else {
    left = names;
  }
  given = count;
  bool complete = count <= proto.params.size();
  for (size_t i = count; complete && i < proto.params.size(); ++i) complete = proto.params[i].has_default;
  if (left.empty() && complete) return true;
  lang::Signature signature;
  for (const ParamInfo& p : proto.params)
    signature.params.push_back({.name = p.name, .is_optional = p.has_default});
  std::vector<std::string_view> views(count);
  for (size_t i = 0; i < left.size(); ++i) views[i] = left[i];
  auto order = lang::arrange_arguments(signature, views);
  if (!order.ok()) return fail_with(std::move(order).error().within(proto.name));
  if (args + order->size() > stack_end_)
    return fail_with(fail(Code::BadProgram, "calls are nested too deep in '{}'", proto.name));
  std::vector<Value> moved(std::make_move_iterator(args), std::make_move_iterator(args + count));
  for (size_t i = 0; i < order->size(); ++i) {
    const int at = (*order)[i];
    if (at < 0)
      args[i].clear();
    else
      args[i] = std::move(moved[static_cast<size_t>(at)]);
  }
  given = order->size();
  return true;
}

// A function of the program that captures nothing.
bool Vm::call_proto(const Proto& proto, Value* args, size_t given, u16 dst) {
  if (replays_ && !traces_[proto.index].is_off) {
    bool is_done = false;
    if (!call_traced(proto, args, given, frames_.back().base[dst], is_done)) return false;
    if (is_done) return true;
  }
  return enter(proto, args, given, dst, nullptr);
}

bool Vm::call_struct_method(const CallSite& site, Value* args, u16 dst, bool& is_done) {
  const auto& object = args[0].as<lang::Struct>();
  const auto& info = static_cast<const StructInfo&>(object.type);
  if (const auto it = info.methods.find(site.name); it != info.methods.end()) {
    is_done = true;
    const Proto& proto = *program_.protos[static_cast<size_t>(it->second)];
    size_t given = 0;
    return arrange_named(proto, site.names, args, site.count, given) && call_proto(proto, args, given, dst);
  }
  const int field = info.find(site.name);
  if (field < 0) return true;
  is_done = true;
  // A function in a field takes the receiver's place.
  Value function =
      tracer_ != nullptr ? tracer_->field(args[0], field) : Value(object.fields[static_cast<size_t>(field)]);
  args[0] = std::move(function);
  CallSite as_value{.count = static_cast<u16>(site.count - 1), .names = site.names};
  if (!as_value.names.empty()) as_value.names.erase(as_value.names.begin());
  return call_value(as_value, args, dst);
}

bool Vm::call_method(const CallSite& site, Value* args, u16 dst) {
  if (args[0].is(ObjectKind::Struct)) {
    bool is_done = false;
    if (!call_struct_method(site, args, dst, is_done)) return false;
    if (is_done) return true;
  }
  if (site.function >= 0) {
    const Proto& proto = *program_.protos[static_cast<size_t>(site.function)];
    size_t given = 0;
    return arrange_named(proto, site.names, args, site.count, given) && call_proto(proto, args, given, dst);
  }
  if (site.builtin != nullptr) return call_native_arranged(site, args, frames_.back().base + dst);
  return fail_with(fail(Code::BadProgram, "{} has no method '{}'", type_name(args[0]), site.name));
}

bool Vm::call_value(const CallSite& site, Value* callee, u16 dst) {
  if (const auto* closure = callee->get_if<lang::Function>()) {
    const Proto& proto = *static_cast<const Proto*>(closure->code);
    size_t given = 0;
    if (!arrange_named(proto, site.names, callee + 1, site.count, given)) return false;
    return enter(proto, callee + 1, given, dst, closure, std::move(*callee));
  }
  const auto* reference = callee->get_if<lang::BuiltinRef>();
  if (reference == nullptr && site.function >= 0) {
    const Proto& proto = *program_.protos[static_cast<size_t>(site.function)];
    size_t given = 0;
    return arrange_named(proto, site.names, callee + 1, site.count, given) &&
           call_proto(proto, callee + 1, given, dst);
  }
  if (reference != nullptr || site.builtin != nullptr) {
    CallSite direct{.builtin = reference != nullptr ? &reference->builtin : site.builtin,
                    .count = site.count};
    std::vector<std::string_view> names(site.count);
    for (size_t i = 0; i < site.names.size(); ++i) names[i] = site.names[i];
    if (!take(lang::arrange_arguments(direct.builtin->parsed, names), direct.builtin_order)) return false;
    std::vector<Value> arranged;
    for (const int at : direct.builtin_order)
      arranged.push_back(at < 0 ? Value() : std::move(callee[1 + at]));
    return call_native(*direct.builtin, arranged, frames_.back().base + dst);
  }
  return fail_with(fail(Code::BadProgram, "{} cannot be called", type_name(*callee)));
}

}  // namespace tl::interp
