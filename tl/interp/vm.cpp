#include "tl/interp/vm.h"

#include <cstdlib>

#include "tl/builtins/convert.h"
#include "tl/builtins/kv_cache.h"

namespace tl::interp {

using lang::List;
using lang::ObjectKind;

constexpr size_t kStackRegisters = size_t{1} << 20;
constexpr size_t kMaxFrames = 20000;

Vm::Vm(const Program& program, lang::Host& host)
    : program_(program),
      host_(host),
      ctx_{host},
      // Zero bytes are empty values; untouched pages cost nothing.
      stack_(static_cast<Value*>(std::calloc(kStackRegisters, sizeof(Value)))),
      stack_end_(stack_.get() + kStackRegisters),
      globals_(program.globals.size()) {
  static_assert(static_cast<int>(lang::Tag::Empty) == 0);
  TL_CHECK(stack_ != nullptr, "no memory for the interpreter's stack");
  frames_.reserve(64);
  ctx_.call = [this](const Value& function, std::span<const Value> args) {
    return call_back(function, args);
  };
  interrupt_limit_ = program.asks_for_interrupts ? 2 : 1;
}

Vm::~Vm() {
  unwind(0);
  globals_.clear();
}

Span Vm::span_of(const Frame& frame) const {
  const auto at = static_cast<size_t>(frame.pc - frame.proto->code.data());
  return at == 0 ? frame.proto->span : frame.proto->spans[at - 1];
}

bool Vm::fail_with(Error error) {
  error_ = std::move(error);
  return false;
}

void Vm::unwind(size_t depth) {
  while (frames_.size() > depth) {
    const Frame& frame = frames_.back();
    for (Value* v = frame.base; v != frame.base + frame.proto->registers; ++v) v->clear();
    frames_.pop_back();
  }
}

bool Vm::enter(const Proto& proto, Value* base, size_t given, u16 dst, const lang::Function* closure,
               Value keep) {
  if (frames_.size() >= kMaxFrames || base + proto.registers > stack_end_) {
    return fail_with(
        fail(Code::BadProgram, "calls are nested more than {} deep in '{}'", frames_.size(), proto.name));
  }
  for (size_t i = given; i < proto.params.size(); ++i) base[i].clear();
  frames_.push_back({&proto, proto.code.data(), base, closure, std::move(keep), dst});
  return true;
}

Result<Value> Vm::run_proto(int index) {
  const Proto& proto = *program_.protos[static_cast<size_t>(index)];
  Value* const base = frames_.empty() ? stack_.get() : frames_.back().base + frames_.back().proto->registers;
  const size_t depth = frames_.size();
  // Register 0 of a frame in front receives the result.
  base->clear();
  if (!enter(proto, base + 1, 0, 0, nullptr)) return error_;
  if (!execute(depth)) return error_;
  return std::move(*base);
}

Result<Value> Vm::call_back(const Value& function, std::span<const Value> args) {
  constexpr int kMaxNativeDepth = 100;
  if (const auto* builtin = function.get_if<lang::BuiltinRef>())
    return call_positional(builtin->builtin, ctx_, args);
  const auto* closure = function.get_if<lang::Function>();
  if (closure == nullptr) return fail(Code::BadProgram, "{} cannot be called", type_name(function));
  const Proto& proto = *static_cast<const Proto*>(closure->code);
  if (args.size() > proto.params.size()) {
    return fail(Code::BadProgram, "{} takes {} arguments, got {}", proto.name, proto.params.size(),
                args.size());
  }
  for (size_t i = args.size(); i < proto.params.size(); ++i) {
    if (!proto.params[i].has_default)
      return fail(Code::BadProgram, "{}: argument '{}' is missing", proto.name, proto.params[i].name);
  }
  if (native_depth_ >= kMaxNativeDepth)
    return fail(Code::BadProgram, "builtins call functions more than {} deep", kMaxNativeDepth);
  const size_t depth = frames_.size();
  Value* const base = frames_.back().base + frames_.back().proto->registers;
  if (base + 1 + proto.registers > stack_end_)
    return fail(Code::BadProgram, "calls are nested too deep in '{}'", proto.name);
  base->clear();
  for (size_t i = 0; i < args.size(); ++i) base[1 + i] = args[i];
  if (!enter(proto, base + 1, args.size(), 0, closure, function)) return error_;
  const Span span = ctx_.span;
  ++native_depth_;
  const bool done = execute(depth);
  --native_depth_;
  ctx_.span = span;
  if (!done) return error_;
  return std::move(*base);
}

bool Vm::operate(const Instr& i, Value* base) {
  const Operator op = static_cast<Operator>(static_cast<int>(i.op) - static_cast<int>(Op::Add));
  Value result;
  if (!take(apply_operator(ctx_, op, base[i.b], base[i.c]), result)) return false;
  if ((i.takes & kTakesB) != 0) base[i.b].clear();
  if ((i.takes & kTakesC) != 0) base[i.c].clear();
  base[i.a] = std::move(result);
  return true;
}

bool Vm::slow_condition(const Value& value, bool& out) {
  return take(lang::condition(ctx_, value), out);
}

bool Vm::loop_point() {
  if (host_.executor.recorder().pending_count() > 0) {
    if (auto done = host_.executor.loop_point(); !done.ok()) return fail_with(std::move(done).error());
  }
  if (host_.interrupts != nullptr && host_.interrupts->load(std::memory_order_relaxed) >= interrupt_limit_) {
    return fail_with(fail(Code::Interrupted, "interrupted"));
  }
  return true;
}

#define TL_ARITHMETIC(name, int_builtin, float_expression)       \
  case Op::name: {                                               \
    const Value &x = base[i.b], &y = base[i.c];                  \
    if (x.is_int() && y.is_int()) {                              \
      i64 r;                                                     \
      if (!int_builtin(x.as_int(), y.as_int(), &r)) [[likely]] { \
        base[i.a].set(r);                                        \
        break;                                                   \
      }                                                          \
    } else if (x.is_float() && y.is_float()) {                   \
      base[i.a].set(x.as_float() float_expression y.as_float()); \
      break;                                                     \
    }                                                            \
    TL_SLOW(operate(i, base));                                   \
    break;                                                       \
  }

#define TL_COMPARISON(name, symbol)                    \
  case Op::name: {                                     \
    const Value &x = base[i.b], &y = base[i.c];        \
    if (x.is_int() && y.is_int()) {                    \
      base[i.a].set(x.as_int() symbol y.as_int());     \
    } else if (x.is_float() && y.is_float()) {         \
      base[i.a].set(x.as_float() symbol y.as_float()); \
    } else {                                           \
      TL_SLOW(operate(i, base));                       \
    }                                                  \
    break;                                             \
  }

// Anything that may fail or look at the program's place: the frame's pc and the context's span are brought up
// to date.
#define TL_SLOW(expression)                                       \
  do {                                                            \
    frames_.back().pc = pc;                                       \
    ctx_.span = proto->spans[static_cast<size_t>(pc - code) - 1]; \
    if (!(expression)) [[unlikely]]                               \
      goto failed;                                                \
  } while (false)

#define TL_FRAME()                     \
  do {                                 \
    const Frame& top = frames_.back(); \
    proto = top.proto;                 \
    code = proto->code.data();         \
    pc = top.pc;                       \
    base = top.base;                   \
  } while (false)

// A call may have pushed a frame; its code runs next.
#define TL_CALL(expression) \
  do {                      \
    TL_SLOW(expression);    \
    TL_FRAME();             \
  } while (false)

#define TL_TAKEN()                                   \
  do {                                               \
    if ((i.takes & kTakesB) != 0) base[i.b].clear(); \
    if ((i.takes & kTakesC) != 0) base[i.c].clear(); \
  } while (false)

bool Vm::execute(size_t depth) {
  const Proto* proto;
  const Instr* code;
  const Instr* pc;
  Value* base;
  TL_FRAME();
  while (true) {
    const Instr i = *pc++;
    switch (i.op) {
      case Op::LoadConstant:
        base[i.a] = proto->constants[i.b];
        break;
      case Op::LoadInt:
        base[i.a].set(static_cast<i64>(i.wide()));
        break;
      case Op::LoadUnit:
        base[i.a] = Value::unit();
        break;
      case Op::LoadEmpty:
        base[i.a].clear();
        break;
      case Op::LoadBool:
        base[i.a].set(i.b != 0);
        break;
      case Op::Move:
        base[i.a] = base[i.b];
        break;
      case Op::Assign: {
        const auto* cache = base[i.b].get_if<lang::KVCache>();
        base[i.a] = cache != nullptr ? cache->copy() : Value(base[i.b]);
        break;
      }
      case Op::Take:
        base[i.a] = std::move(base[i.b]);
        break;
      case Op::Clear:
        for (u16 k = 0; k < i.b; ++k) base[i.a + k].clear();
        break;
      case Op::GetGlobal: {
        const Value& global = globals_[i.b];
        if (global.is_empty()) [[unlikely]] {
          TL_SLOW(
              fail_with(fail(Code::BadProgram, "'{}' is used before it has a value", program_.globals[i.b])));
        }
        base[i.a] = global;
        break;
      }
      case Op::SetGlobal:
        if ((i.takes & kTakesB) != 0)
          globals_[i.a] = std::move(base[i.b]);
        else
          globals_[i.a] = base[i.b];
        break;
      case Op::NewCell: {
        auto* cell = new lang::Cell;
        Value holder(cell);
        cell->value = std::move(base[i.a]);
        base[i.a] = std::move(holder);
        break;
      }
      case Op::GetCell: {
        Value inside = base[i.b].as<lang::Cell>().value;
        base[i.a] = std::move(inside);
        break;
      }
      case Op::SetCell:
        base[i.a].as<lang::Cell>().value = base[i.b];
        break;
      case Op::LoadSelf:
        base[i.a] = Value(const_cast<lang::Function*>(frames_.back().closure));
        break;
      case Op::LoadCapture:
        base[i.a] = frames_.back().closure->captures[i.b];
        break;

        TL_ARITHMETIC(Add, __builtin_add_overflow, +)
        TL_ARITHMETIC(Sub, __builtin_sub_overflow, -)
        TL_ARITHMETIC(Mul, __builtin_mul_overflow, *)
        TL_COMPARISON(Equal, ==)
        TL_COMPARISON(NotEqual, !=)
        TL_COMPARISON(Less, <)
        TL_COMPARISON(LessEqual, <=)
        TL_COMPARISON(Greater, >)
        TL_COMPARISON(GreaterEqual, >=)
      case Op::Div: {
        const Value &x = base[i.b], &y = base[i.c];
        if (x.is_float() && y.is_float() && y.as_float() != 0) {
          base[i.a].set(x.as_float() / y.as_float());
        } else if (x.is_int() && y.is_int() && y.as_int() > 0) {
          base[i.a].set(x.as_int() / y.as_int());
        } else {
          TL_SLOW(operate(i, base));
        }
        break;
      }
      case Op::Mod: {
        const Value &x = base[i.b], &y = base[i.c];
        if (x.is_int() && y.is_int() && y.as_int() > 0) {
          base[i.a].set(x.as_int() % y.as_int());
        } else {
          TL_SLOW(operate(i, base));
        }
        break;
      }
      case Op::Pow:
      case Op::MatMul:
        TL_SLOW(operate(i, base));
        break;
      case Op::AddInt: {
        const Value& x = base[i.b];
        i64 r;
        if (x.is_int() && !__builtin_add_overflow(x.as_int(), i64{static_cast<i16>(i.c)}, &r)) [[likely]] {
          base[i.a].set(r);
        } else {
          const i64 amount = static_cast<i16>(i.c);
          Value result;
          TL_SLOW(take(apply_operator(ctx_, amount < 0 ? Operator::Sub : Operator::Add, base[i.b],
                                      Value(std::abs(amount))),
                       result));
          if ((i.takes & kTakesB) != 0) base[i.b].clear();
          base[i.a] = std::move(result);
        }
        break;
      }
      case Op::Negate: {
        Value result;
        TL_SLOW(take(lang::negate(ctx_, base[i.b]), result));
        TL_TAKEN();
        base[i.a] = std::move(result);
        break;
      }
      case Op::Not: {
        Value result;
        TL_SLOW(take(lang::logical_not(ctx_, base[i.b]), result));
        TL_TAKEN();
        base[i.a] = std::move(result);
        break;
      }
      case Op::Approximately: {
        Value result;
        TL_SLOW(take(lang::approximately(ctx_, base[i.b], base[i.c]), result));
        TL_TAKEN();
        base[i.a] = std::move(result);
        break;
      }
      case Op::In:
      case Op::NotIn: {
        bool inside = false;
        TL_SLOW(take(lang::contains(ctx_, base[i.b], base[i.c]), inside));
        TL_TAKEN();
        base[i.a].set(inside == (i.op == Op::In));
        break;
      }

      case Op::Jump:
        pc = code + i.wide();
        break;
      case Op::Loop:
        TL_SLOW(loop_point());
        pc = code + i.wide();
        break;
      case Op::ToBool: {
        bool value = base[i.a].as_bool();
        if (!base[i.a].is_bool()) TL_SLOW(slow_condition(base[i.a], value));
        base[i.a].set(value);
        break;
      }
      case Op::JumpIf:
      case Op::JumpIfNot: {
        const Value& v = base[i.a];
        bool value = v.as_bool();
        if (!v.is_bool()) [[unlikely]] {
          TL_SLOW(slow_condition(v, value));
          if ((i.takes & kTakesB) != 0) base[i.a].clear();
        }
        if (value == (i.op == Op::JumpIf)) pc = code + i.wide();
        break;
      }
      case Op::JumpIfGiven:
        if (!base[i.a].is_empty()) pc = code + i.wide();
        break;
      case Op::Cast: {
        Value result;
        TL_SLOW(cast(proto->casts[i.c], base[i.b], result));
        TL_TAKEN();
        base[i.a] = std::move(result);
        break;
      }
      case Op::Coerce: {
        const TypeSpec& spec = proto->types[i.b];
        const Value& v = base[i.a];
        if (spec.kind == TypeSpec::Kind::Int && v.is_int()) break;
        if (spec.kind == TypeSpec::Kind::Float && v.is_float()) break;
        TL_SLOW(coerce(base[i.a], spec, proto->names[i.c]));
        break;
      }

      case Op::MakeList:
      case Op::MakeTuple: {
        std::vector<Value> items(std::make_move_iterator(base + i.b),
                                 std::make_move_iterator(base + i.b + i.c));
        if (i.op == Op::MakeTuple) {
          base[i.a] = lang::make_tuple(std::move(items));
        } else if (i.takes != 0) {
          Value result;
          TL_SLOW(make_tensor_literal(std::move(items), result));
          base[i.a] = std::move(result);
        } else {
          base[i.a] = make_number_list(std::move(items));
        }
        break;
      }
      case Op::MakeRange: {
        i64 first = 0, last = 0;
        TL_SLOW(take(lang::to_int(ctx_, base[i.b]), first) && take(lang::to_int(ctx_, base[i.b + 1]), last));
        base[i.a] = Value(new lang::Range(first, i.c != 0 && last < INT64_MAX ? last + 1 : last, 1));
        break;
      }
      case Op::RepeatList: {
        Value result;
        const Value args[] = {base[i.b], base[i.c]};
        TL_SLOW(take(call_positional(*lang::find_builtin("filled"), ctx_, args), result));
        base[i.a] = std::move(result);
        break;
      }
      case Op::MakeStruct: {
        Value result;
        TL_SLOW(make_struct(*program_.structs[i.b], base + i.c, result));
        base[i.a] = std::move(result);
        break;
      }
      case Op::MakeClosure: {
        Value result;
        make_closure(frames_.back(), proto->closures[i.b], result);
        base[i.a] = std::move(result);
        break;
      }
      case Op::Interpolate: {
        Value result;
        TL_SLOW(interpolate(proto->texts[i.b], base + i.c, result));
        base[i.a] = std::move(result);
        break;
      }

      case Op::Index: {
        const Value &object = base[i.b], &at = base[i.c];
        if (at.is_int() && object.is(ObjectKind::List)) [[likely]] {
          const auto& items = object.as<List>().items;
          const i64 index = at.as_int();
          if (index >= 0 && index < static_cast<i64>(items.size())) {
            Value item = items[static_cast<size_t>(index)];
            TL_TAKEN();
            base[i.a] = std::move(item);
            break;
          }
        }
        Value result;
        const lang::IndexItem item{.value = at};
        TL_SLOW(take(lang::index(ctx_, object, {&item, 1}), result));
        TL_TAKEN();
        base[i.a] = std::move(result);
        break;
      }
      case Op::IndexMany: {
        Value result;
        TL_SLOW(index_many(proto->indices[i.c], base, base[i.b], result));
        if ((i.takes & kTakesB) != 0) base[i.b].clear();
        base[i.a] = std::move(result);
        break;
      }
      case Op::SetIndex: {
        const Value& at = base[i.b];
        if (at.is_int() && base[i.a].is(ObjectKind::List)) [[likely]] {
          auto& items = base[i.a].as<List>().items;
          if (at.as_int() >= 0 && at.as_int() < static_cast<i64>(items.size())) {
            items[static_cast<size_t>(at.as_int())] = base[i.c];
            break;
          }
        }
        Value after;
        TL_SLOW(take(lang::set_index(ctx_, base[i.a], {lang::IndexItem{.value = at}}, base[i.c]), after));
        base[i.a] = std::move(after);
        break;
      }
      case Op::SetIndexMany:
        TL_SLOW(set_index_many(proto->indices[i.b], base, base[i.a], base[i.c]));
        break;
      case Op::GetField: {
        Value result;
        TL_SLOW(take(lang::get_field(ctx_, base[i.b], proto->names[i.c]), result));
        if ((i.takes & kTakesB) != 0) base[i.b].clear();
        base[i.a] = std::move(result);
        break;
      }
      case Op::SetField:
        TL_SLOW(set_field(base[i.a], proto->names[i.b], base[i.c]));
        break;

      case Op::CallFn: {
        const CallSite& site = proto->calls[i.b];
        TL_CALL(enter(*program_.protos[static_cast<size_t>(site.function)], base + i.c, site.count, i.a,
                      nullptr));
        break;
      }
      case Op::CallBuiltin: {
        const CallSite& site = proto->calls[i.b];
        TL_SLOW(call_native(*site.builtin, {base + i.c, site.count}, base + i.a));
        break;
      }
      case Op::CallMethod:
        TL_CALL(call_method(proto->calls[i.b], base + i.c, i.a));
        break;
      case Op::CallValue:
        TL_CALL(call_value(proto->calls[i.b], base + i.c, i.a));
        break;
      case Op::Return: {
        Value result = std::move(base[i.a]);
        const u16 dst = frames_.back().dst;
        unwind(frames_.size() - 1);
        if (frames_.size() == depth) {
          base[-1] = std::move(result);
          return true;
        }
        TL_FRAME();
        base[dst] = std::move(result);
        break;
      }

      case Op::ForPrepare:
        TL_SLOW(prepare_for(base + i.a, i.b != 0));
        break;
      case Op::ForRange: {
        const i64 next = base[i.a].as_int();
        if (next < base[i.a + 1].as_int()) {
          base[i.a].set(next + 1);
          base[i.b].set(next);
          ++pc;
        }
        break;
      }
      case Op::ForNext: {
        bool has = false;
        TL_SLOW(next_item(base + i.a, base[i.b], has));
        if (has) ++pc;
        break;
      }
      case Op::Unpack:
        TL_SLOW(unpack(base[i.b], base + i.a, i.c));
        if ((i.takes & kTakesB) != 0) base[i.b].clear();
        break;
      case Op::IsTuple: {
        const auto* tuple = base[i.b].get_if<lang::Tuple>();
        base[i.a].set(tuple != nullptr && tuple->items.size() == i.c);
        break;
      }
      case Op::IsStruct: {
        const auto* object = base[i.b].get_if<lang::Struct>();
        base[i.a].set(object != nullptr && &object->type == program_.structs[i.c].get());
        break;
      }
      case Op::NoMatch:
        TL_SLOW(fail_with(fail(Code::BadProgram, "no arm of 'match' takes {}", type_name(base[i.a]))));
        break;
    }
  }
failed:
  // What every frame was doing, innermost first; then the frames of this call go.
  if (!error_.where) error_.where = span_of(frames_.back());
  for (size_t k = frames_.size(); k > depth; --k) {
    if (trace_.size() < 100) trace_.push_back({frames_[k - 1].proto->name, span_of(frames_[k - 1])});
  }
  unwind(depth);
  return false;
}

}  // namespace tl::interp
