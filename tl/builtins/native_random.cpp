// Generators of random numbers: made, asked for their state, put back into one.
#include "tl/builtins/convert.h"
#include "tl/builtins/families.h"
#include "tl/builtins/generator.h"

namespace tl::lang {
namespace {

Result<Generator*> to_generator(const Value& value) {
  if (auto* generator = value.get_if<Generator>()) return generator;
  return fail(Code::BadProgram, "found {}, want a Generator", type_name(value));
}

// Seed, draws made, streams given away: ints, for the files and printers of ints.
Value to_state(const Recorder::Generator& g) {
  const i64 numbers[] = {static_cast<i64>(g.seed), static_cast<i64>(g.position),
                         static_cast<i64>(g.substreams)};
  return make_ints(numbers);
}

Result<Recorder::Generator> from_state(CallContext& ctx, const Value& value) {
  auto numbers = to_ints(ctx, value);
  if (!numbers.ok()) return std::move(numbers).error().within("state");
  const std::vector<i64>& n = *numbers;
  if (n.size() != 3 || n[1] < 0 || n[2] < 0)
    return fail(Code::BadProgram, "found a state of {} numbers, want [seed, draws, streams] as state() gives",
                n.size());
  return Recorder::Generator{static_cast<u64>(n[0]), static_cast<u64>(n[1]), static_cast<u64>(n[2])};
}

Value new_generator(Recorder::Generator g) {
  return Value(new Generator(g));
}

Result<Value> native_generator(CallContext&, std::span<Value> args) {
  return new_generator({static_cast<u64>(args[0].as_int()), 0, 0});
}

Result<Value> native_default_generator(CallContext&, std::span<Value>) {
  return Value(new Generator({}, true));
}

Result<Value> native_generator_from(CallContext& ctx, std::span<Value> args) {
  TL_TRY(const Recorder::Generator g, from_state(ctx, args[0]));
  return new_generator(g);
}

Result<Value> native_state(CallContext& ctx, std::span<Value> args) {
  TL_TRY(Generator* const g, to_generator(args[0]));
  return to_state(g->in(ctx.executor()));
}

Result<Value> native_set_state(CallContext& ctx, std::span<Value> args) {
  TL_TRY(Generator* const g, to_generator(args[0]));
  TL_TRY(g->in(ctx.executor()), from_state(ctx, args[1]));
  return Value::unit();
}

Result<Value> native_substream(CallContext& ctx, std::span<Value> args) {
  TL_TRY(Generator* const g, to_generator(args[0]));
  return new_generator({g->in(ctx.executor()).substream(), 0, 0});
}

// What reads or changes a state is not pure: it must not become a constant of a replayed call.
const Builtin kRows[] = {
    {"default_generator", "() -> Generator", "The stream of the draws that name no generator.",
     "len(state(default_generator()))  //~ 3", Effect::Pure, native_default_generator},
    {"generator", "(seed: int) -> Generator", "A stream of random draws of its own, told by its seed.",
     "state(generator(7))  //~ [7, 0, 0]", Effect::Pure, native_generator},
    {"generator_from", "(state: any) -> Generator",
     "A generator that draws what that of the state would have.",
     "state(generator_from([7, 2, 0]))  //~ [7, 2, 0]", Effect::Pure, native_generator_from},
    {"set_state", "(g: any, state: any) -> unit", "Puts a generator where one was whose state was asked for.",
     "set_state(generator(1), [7, 2, 0])", Effect::Mutates, native_set_state},
    {"state", "(g: any) -> list", "Where a generator stands, as three ints that can be kept.",
     "state(generator(7))  //~ [7, 0, 0]", Effect::Io, native_state},
    {"substream", "(g: any) -> Generator", "A generator whose draws have nothing to do with those of g.",
     "len(state(substream(generator(7))))  //~ 3", Effect::Mutates, native_substream},
};

}  // namespace

std::span<const Builtin> random_natives() {
  return kRows;
}

}  // namespace tl::lang
