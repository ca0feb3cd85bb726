#include "tl/interp/vm.h"

#include <sys/mman.h>

#include <functional>

#include "tl/base/fail_point.h"
#include "tl/builtins/convert.h"

namespace tl::interp {

using lang::List;
using lang::ObjectKind;

constexpr size_t kStackRegisters = size_t{1} << 20;
constexpr size_t kMaxFrames = 20000;

// Zero bytes are empty values; null: there is no memory. Straight from the system, whose untouched pages cost
// nothing.
static Value* new_stack() {
  void* at = mmap(nullptr, kStackRegisters * sizeof(Value), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED || must_fail(FailPoint::Thread) ? nullptr : static_cast<Value*>(at);
}

void Vm::Free::operator()(Value* p) const {
  munmap(p, kStackRegisters * sizeof(Value));
}

// A constant of the program as objects of this thread's own.
static Value own_constant(const Value& constant) {
  auto copy = lang::Cloner().clone(constant);
  TL_CHECK(copy.ok(), "a constant that cannot be copied");
  return std::move(copy).value();
}

Vm::Vm(const Program& program, lang::Host& host, TaskPool& tasks, TaskRecord* self)
    : program_(program),
      host_(host),
      tasks_(tasks),
      self_(self),
      ctx_{host},
      stack_(new_stack()),
      stack_end_(stack_ == nullptr ? nullptr : stack_.get() + kStackRegisters),
      globals_(program.globals.size()),
      constants_(program.protos.size()) {
  static_assert(static_cast<int>(lang::Tag::Empty) == 0);
  frames_.reserve(64);
  ctx_.call = [this](const Value& function, std::span<const Value> args) {
    return call_back(function, args);
  };
  ctx_.call_pure = [this](const Value& function, std::span<const Value> args) {
    return call_pure(function, args);
  };
  ctx_.spawn = [this](const Value& function, std::span<const Value> args) { return spawn(function, args); };
  ctx_.join = [this](const Value& task) { return join(task); };
  ctx_.par_map = [this](std::span<const Value> items, const Value& f) { return par_map(items, f); };
  static const lang::Interrupts never;
  static const std::atomic<bool> no{false};
  interrupts_ = host.interrupts != nullptr ? host.interrupts : &never;
  stop_ = host.stop != nullptr ? host.stop : &no;
  const ExecOptions& options = host.executor.options();
  replays_ = options.replay && !options.eager && options.checksums_path.empty();
  traces_.resize(program.protos.size());
  host.executor.set_cancel_check([this] { return wants_attention(); }, host.outlives_interrupts
                                                                           ? Executor::OnCancel::Finish
                                                                           : Executor::OnCancel::Drop);
}

Vm::~Vm() {
  host_.executor.set_cancel_check({});
  abandon(0);
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
  if (wants_attention() && !frames_.empty()) [[unlikely]]
    return go_on();
  for (size_t i = given; i < proto.params.size(); ++i) base[i].clear();
  std::vector<Value>& constants = constants_[proto.index];
  if (constants.size() != proto.constants.size()) [[unlikely]] {
    for (const Value& constant : proto.constants) constants.push_back(own_constant(constant));
  }
  frames_.push_back({&proto, proto.code.data(), base, constants.data(), closure, std::move(keep), dst});
  return true;
}

Result<Value> Vm::run_proto(int index) {
  if (stack_ == nullptr) return fail(Code::OutOfMemory, "no memory for the program's stack");
  const Proto& proto = *program_.protos[static_cast<size_t>(index)];
  Value* const base = frames_.empty() ? stack_.get() : frames_.back().base + frames_.back().proto->registers;
  const size_t depth = frames_.size();
  // Register 0 of a frame in front receives the result.
  base->clear();
  if (!enter(proto, base + 1, 0, 0, nullptr)) return error_;
  Value result;
  if (!execute(depth, result)) return error_;
  return result;
}

Result<Value> Vm::call(const Proto& proto, std::span<const Value> args) {
  return call_back(Value(new lang::Function(&proto, proto.name)), args);
}

void Vm::recover() {
  abandon(0);
  unwind(0);
  error_ = {};
  trace_.clear();
  ctx_.exit_code.reset();
}

Result<Value> Vm::call_back(const Value& function, std::span<const Value> args) {
  constexpr int kMaxNativeDepth = 100;
  if (const auto* builtin = function.get_if<lang::BuiltinRef>()) {
    if (tracer_ != nullptr && builtin->builtin.op == nullptr)
      tracer_->abort(fmt::format("{} is called by another builtin", builtin->builtin.name));
    return call_positional(builtin->builtin, ctx_, args);
  }
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
  Value* const base = frames_.empty() ? stack_.get() : frames_.back().base + frames_.back().proto->registers;
  if (base + 1 + proto.registers > stack_end_)
    return fail(Code::BadProgram, "calls are nested too deep in '{}'", proto.name);
  base->clear();
  for (size_t i = 0; i < args.size(); ++i) base[1 + i] = args[i];
  if (!enter(proto, base + 1, args.size(), 0, closure, function)) return error_;
  const Span span = ctx_.span;
  Value result;
  ++native_depth_;
  const bool done = execute(depth, result);
  --native_depth_;
  ctx_.span = span;
  if (!done) return error_;
  return result;
}

bool Vm::fail_unset(size_t global) {
  return fail_with(fail(Code::BadProgram, "'{}' is used before it has a value", program_.globals[global]));
}

bool Vm::slow_condition(const Value& value, bool& out) {
  return take(lang::condition(ctx_, value), out);
}

bool Vm::loop_point() {
  if (host_.executor.recorder().pending_count() > 0) {
    if (auto done = host_.executor.loop_point(); !done.ok()) return fail_with(std::move(done).error());
  }
  return go_on();
}

bool Vm::go_on() {
  return !wants_attention() || fail_with(fail(Code::Interrupted, "interrupted"));
}

namespace {

// a = b op c for two ints, unless the result overflows, and for two floats; false where it is neither.
template <Op op>
bool calculate(const Instr& i, Value* base) {
  const Value &x = base[i.b], &y = base[i.c];
  if (x.is_int() && y.is_int()) {
    const i64 a = x.as_int(), b = y.as_int();
    i64 r;
    if (op == Op::Add   ? __builtin_add_overflow(a, b, &r)
        : op == Op::Sub ? __builtin_sub_overflow(a, b, &r)
                        : __builtin_mul_overflow(a, b, &r)) [[unlikely]]
      return false;
    base[i.a].set(r);
  } else if (x.is_float() && y.is_float()) {
    const f64 a = x.as_float(), b = y.as_float();
    base[i.a].set(op == Op::Add ? a + b : op == Op::Sub ? a - b : a * b);
  } else {
    return false;
  }
  return true;
}

// a = whether b and c, two ints or two floats, compare so; false where they are neither.
template <typename Compare>
bool compare(const Instr& i, Value* base, Compare holds) {
  const Value &x = base[i.b], &y = base[i.c];
  if (x.is_int() && y.is_int()) {
    base[i.a].set(holds(x.as_int(), y.as_int()));
  } else if (x.is_float() && y.is_float()) {
    base[i.a].set(holds(x.as_float(), y.as_float()));
  } else {
    return false;
  }
  return true;
}

// The item of a list at an int within it, else null.
Value* list_item(const Value& object, const Value& at) {
  if (!at.is_int() || !object.is(ObjectKind::List)) return nullptr;
  auto& items = object.as<List>().items;
  const auto index = static_cast<u64>(at.as_int());  // a negative one becomes too large
  return index < items.size() ? &items[index] : nullptr;
}

}  // namespace

// For what may fail or look at the program's place: brings the frame's pc and the context's span up to date.
// A macro because a function could not leave the loop.
#define TL_SLOW(expression)                                       \
  do {                                                            \
    frames_.back().pc = pc;                                       \
    ctx_.span = proto->spans[static_cast<size_t>(pc - code) - 1]; \
    if (!(expression)) [[unlikely]]                               \
      goto failed;                                                \
  } while (false)

// Longer than a screen because it is the dispatch loop: what must be fast is inline, the rest is one call.
template <bool kTracing>
bool Vm::run_loop(size_t depth, Value& result) {
  const Proto* proto;
  const Instr* code;
  const Instr* pc;
  const Value* constants;
  Value* base;
enter_frame:
  proto = frames_.back().proto;
  code = proto->code.data();
  pc = frames_.back().pc;
  base = frames_.back().base;
  constants = frames_.back().constants;
  while (true) {
    const Instr& i = *pc++;
    if constexpr (kTracing) {
      if (pure_ != nullptr) TL_SLOW(allow(pure_->check(i, base)));
      if (tracer_ != nullptr && tracer_->visit(i, base, *proto, frames_.back().closure,
                                               proto->spans[static_cast<size_t>(pc - code) - 1]))
        continue;
    }
    switch (i.op) {
      case Op::LoadConstant:
        base[i.a] = constants[i.wide()];
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
      case Op::Clear:
        for (u16 k = 0; k < i.b; ++k) base[i.a + k].clear();
        break;
      case Op::GetGlobal: {
        const Value& global = globals_[static_cast<size_t>(i.wide())];
        if (global.is_empty()) TL_SLOW(fail_unset(static_cast<size_t>(i.wide())));
        base[i.a] = global;
        break;
      }
      case Op::SetGlobal:
        if ((i.takes & kTakesB) != 0)
          globals_[static_cast<size_t>(i.wide())] = std::move(base[i.a]);
        else
          globals_[static_cast<size_t>(i.wide())] = base[i.a];
        break;
      case Op::NewCell: {
        auto* cell = new lang::Cell;
        Value holder(cell);
        cell->value = std::move(base[i.a]);
        base[i.a] = std::move(holder);
        free_cycles();
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

      case Op::Add:
        if (!calculate<Op::Add>(i, base)) TL_SLOW(operate(i, base));
        break;
      case Op::Sub:
        if (!calculate<Op::Sub>(i, base)) TL_SLOW(operate(i, base));
        break;
      case Op::Mul:
        if (!calculate<Op::Mul>(i, base)) TL_SLOW(operate(i, base));
        break;
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
      case Op::AddInt: {
        const Value& x = base[i.b];
        i64 r;
        if (x.is_int() && !__builtin_add_overflow(x.as_int(), i.amount(), &r)) [[likely]]
          base[i.a].set(r);
        else
          TL_SLOW(add_amount(i, base));
        break;
      }
      case Op::Equal:
        if (!compare(i, base, std::equal_to())) TL_SLOW(operate(i, base));
        break;
      case Op::NotEqual:
        if (!compare(i, base, std::not_equal_to())) TL_SLOW(operate(i, base));
        break;
      case Op::Less:
        if (!compare(i, base, std::less())) TL_SLOW(operate(i, base));
        break;
      case Op::LessEqual:
        if (!compare(i, base, std::less_equal())) TL_SLOW(operate(i, base));
        break;
      case Op::Greater:
        if (!compare(i, base, std::greater())) TL_SLOW(operate(i, base));
        break;
      case Op::GreaterEqual:
        if (!compare(i, base, std::greater_equal())) TL_SLOW(operate(i, base));
        break;

      case Op::Jump:
        pc = code + i.wide();
        break;
      case Op::Loop:
        if (wants_attention() || host_.executor.recorder().pending_count() > 0) [[unlikely]]
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
      case Op::Coerce: {
        const TypeSpec& spec = proto->types[i.long_c()];
        const Value& v = base[i.a];
        if (spec.kind == TypeSpec::Kind::Int && v.is_int()) break;
        if (spec.kind == TypeSpec::Kind::Float && v.is_float()) break;
        TL_SLOW(coerce(base[i.a], spec, proto->names[i.b]) &&
                bind_dims(base[i.a], spec, proto->names[i.b], base));
        break;
      }

      case Op::Index:
        if (const Value* found = list_item(base[i.b], base[i.c])) [[likely]] {
          Value item = *found;
          clear_taken(i, base);
          base[i.a] = std::move(item);
        } else {
          TL_SLOW(look_up(i, base));
        }
        break;
      case Op::SetIndex:
        if (Value* item = list_item(base[i.a], base[i.b]); item != nullptr && i.takes == 0) [[likely]]
          *item = base[i.c];
        else
          TL_SLOW(change_part(i, base));
        break;

      case Op::CallFn: {
        const CallSite& site = proto->calls[i.long_b()];
        const Proto& callee = *program_.protos[static_cast<size_t>(site.function)];
        if (replays_ && !traces_[callee.index].is_off) [[unlikely]] {
          bool is_done = false;
          TL_SLOW(call_traced(callee, base + i.c, site.count, base[i.a], is_done));
          if (is_done) break;
        }
        TL_SLOW(enter(callee, base + i.c, site.count, i.a, nullptr));
        goto enter_frame;
      }
      case Op::CallBuiltin: {
        const CallSite& site = proto->calls[i.long_b()];
        TL_SLOW(call_native(*site.builtin, {base + i.c, site.count}, base + i.a));
        break;
      }
      case Op::CallMethod:
        TL_SLOW(call_method(proto->calls[i.long_b()], base + i.c, i.a));
        goto enter_frame;
      case Op::CallValue:
        TL_SLOW(call_value(proto->calls[i.long_b()], base + i.c, i.a));
        goto enter_frame;
      case Op::Return: {
        Value returned = std::move(base[i.a]);
        const u16 dst = frames_.back().dst;
        unwind(frames_.size() - 1);
        if (frames_.size() == depth) {
          result = std::move(returned);
          return true;
        }
        frames_.back().base[dst] = std::move(returned);
        goto enter_frame;
      }

      case Op::ForPrepare:
        TL_SLOW(prepare_for(base + i.a, i.b != 0, i.c != 0));
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

      case Op::Pow:
      case Op::MatMul:
        TL_SLOW(operate(i, base));
        break;
      case Op::Negate:
      case Op::Not:
      case Op::Approximately:
      case Op::In:
      case Op::NotIn:
      case Op::Cast:
        TL_SLOW(compute_value(i, base));
        break;
      case Op::MakeList:
      case Op::GrowList:
      case Op::FinishList:
      case Op::MakeTuple:
      case Op::MakeRange:
      case Op::RepeatList:
      case Op::MakeStruct:
      case Op::MakeClosure:
      case Op::Interpolate:
        TL_SLOW(make_value(i, base));
        break;
      case Op::IndexMany:
      case Op::GetField:
        TL_SLOW(look_up(i, base));
        break;
      case Op::SetIndexMany:
      case Op::SetField:
        TL_SLOW(change_part(i, base));
        break;
      case Op::Unpack:
      case Op::IsTuple:
      case Op::IsStruct:
      case Op::NoMatch:
        TL_SLOW(match_value(i, base));
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

bool Vm::execute(size_t depth, Value& result) {
  return tracer_ != nullptr || pure_ != nullptr ? run_loop<true>(depth, result)
                                                : run_loop<false>(depth, result);
}

}  // namespace tl::interp
