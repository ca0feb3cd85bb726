// Writes down what one call of a function of the program does to tensors, so that later calls need not
// interpret it: every op it records (Trace), where its inputs come from (Place), and what must be as it was
// (guards). Ints that came from outside stay symbols as long as nothing but arithmetic, sizes and op
// attributes uses them; what anything else uses becomes a guard. A call that does what cannot be done again
// (it prints, changes an object of its caller's, looks at a number) is not traced.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tl/builtins/context.h"
#include "tl/builtins/kv_cache.h"
#include "tl/exec/trace.h"
#include "tl/interp/bytecode.h"

namespace tl::interp {

// Something that existed before the call, and how to get there. The root is an argument or a global.
struct Place {
  // Keys to Longest are of layer `index` of a cache; Longest: positions of its longest sequence, with
  // `counts` more of each.
  enum class Kind : u8 { Arg, Global, Capture, Field, Item, Cell, Keys, Values, Lengths, Longest };
  // What a replay does with what it finds there.
  enum class Use : u8 {
    Guard,   // must be the number, text or object that it was
    Struct,  // must be of the same type
    List,    // must be a list (or tuple), as long if `fixes_length`
    Cell,
    Cache,
    Int,        // is an int of the trace
    Generator,  // its seed and position are ints of the trace; of the program's own, nothing
    Tensor,     // is an input of the trace
    SameAs,     // must be the object or tensor at another place
    Weight,     // must be the tensor that it was: the trace has it as a constant
  };
  Kind kind = Kind::Arg;
  Use use = Use::Guard;
  i32 parent = -1;
  u32 index = 0;
  bool fixes_length = false;
  bool is_literal = false;  // Tensor
  bool is_tuple = false;    // List
  i32 symbol = -1;          // Int
  // Int, Generator: of the given ones; List: its length; SameAs: the place; Cache: its layers
  u32 number = 0;
  i64 sequences = 0;  // Cache
  // Longest: how many more of each sequence, by the number of a given int or by itself.
  struct Count {
    i32 given = -1;
    i64 value = 0;
  };
  std::vector<Count> counts;
  Value value;  // Guard, Weight, Struct (an empty object of the type), Cache (what it stores)
  Span where;   // who read it first
};

// What a traced call gives: a tensor or int of the trace, a constant, or a new object of such.
struct ResultPart {
  enum class Kind : u8 { Constant, Place, Tensor, Int, List, Tuple, Struct };
  Kind kind = Kind::Constant;
  i32 number = 0;  // of the place, output or int
  bool is_literal = false, is_vec = false;
  Value value;                // Constant; Struct: an object of the type
  std::vector<i32> children;  // numbers of parts
};

// A tensor of a cache that the call leaves changed.
struct CacheEffect {
  i32 cache = 0;  // place
  u32 layer = 0;
  bool is_keys = false;
  i32 output = 0;
  i32 input = -1;  // which input held it before: replays take it from there
};

// How much longer the call leaves the sequences of a layer, in ints of the trace: one for all, or one for
// each.
struct LengthsEffect {
  i32 cache = 0;  // place
  u32 layer = 0;
  std::vector<i32> added;
};

// Draws from a generator of the caller's.
struct GeneratorEffect {
  i32 generator = 0;  // place
  u64 draws = 0;
};

struct TracedCall {
  Trace trace;
  std::vector<Place> places;
  std::vector<i32> inputs;  // places of the trace's inputs, in order
  u32 given = 0;            // ints that it is given
  std::vector<ResultPart> parts;
  i32 result = 0;  // part
  std::vector<CacheEffect> effects;
  std::vector<LengthsEffect> lengths;
  std::vector<GeneratorEffect> draws;
};

class Tracer : public RecordObserver, public lang::ValueTracer {
 public:
  Tracer(const Program& program, lang::CallContext& ctx, std::vector<Value>& globals);
  ~Tracer() override;
  // False where no more calls of this process can be traced.
  static bool can_start();

  // The arguments of the call, which it may mark.
  void begin(std::span<Value> args);
  // Before an instruction runs. True: it has been carried out.
  bool visit(const Instr& i, Value* base, const Proto& proto, const lang::Function* closure, Span where);
  // Before a builtin runs. True: it has been carried out, with this result.
  bool call(const Builtin& builtin, std::span<Value> args, Value& result);
  void after_call();
  // What is in a field of a struct, for who calls it.
  Value field(const Value& object, int at);
  // The whole, once the function has returned; null if it cannot be replayed (reason() says why).
  std::unique_ptr<TracedCall> finish(const Value& result);

  bool is_aborted() const { return is_aborted_; }
  const std::string& reason() const { return reason_; }
  Span reason_where() const { return reason_where_; }
  // `is_rare`: what keeps this call from being traced says little about the next one.
  void abort(std::string reason, bool is_rare = false);
  bool is_rare() const { return is_rare_; }

  void recorded(const Node& node) override;
  void made(const Tensor& constant) override;
  void materialised(const Tensor& scalar, const Tensor& in_memory) override;
  void looked() override;
  void made_scalar(const Tensor& tensor, const Value& from) override;
  void made_literal(const Tensor& tensor, std::span<const Value> elements) override;
  void loaded(const Tensor& weight) override;
  void looks_at(const Value& value) override { fix_deep(value); }

 private:
  // Ints.
  i32 symbol_of(const Value& v) const;  // -1: a constant
  i32 symbol_for(const Value& v);       // also of constants
  i32 add_int(TraceInt how);
  Value make_int(i64 value, i32 symbol) const;
  void fix(const Value& v);          // an int is what it was
  void fix_numbers(const Value& v);  // ints, and all that lists of the caller's hold
  void fix_deep(const Value& v, int depth = 0);
  void fix_shape(const Tensor& t);
  void fix_lists_of_callers(const Value& v, int depth = 0);
  void fix_lengths(const Value& v, int depth = 0);

  // Objects.
  bool is_born_here(const Value& v) const { return v.object()->birth == birth_; }
  bool is_callers(const Value& v) const;  // an object that existed before and may change
  i32 place_of(const Value& v);           // -1, aborted: nobody knows where it came from
  Value read(Place::Kind kind, i32 parent, u32 index, const Value& found);
  void use_place(Place& place, i32 self, const Value& found);
  void use_tensor(Place& place, i32 self, const Value& found);
  void use_generator(Place& place, i32 self, const Value& found);
  void read_items(const Value& list);
  SourceRef ref_of(const Tensor& t);
  void hold(const Tensor& t, SourceRef ref);

  bool arithmetic(const Instr& i, Value* base);
  bool comparison(const Instr& i, Value* base);
  bool index(const Instr& i, Value* base);
  bool get_field(const Instr& i, Value* base, const Proto& proto);
  void before_coerce(const Value& v, const TypeSpec& spec);
  void before_op(const Builtin& row, std::span<Value> args);
  void patch_draw(const Value& generator, i32 at);
  bool cache_length(const Value& cache, Value& result);
  struct CacheLayer;
  CacheLayer* use_layer(const Value& cache, const Value& layer);
  bool is_batch(const Value& cache);
  i32 longest_of(const Value& cache, CacheLayer& layer);
  void use_lengths(const Value& cache, const CacheLayer& layer);
  void append_to_batch(std::span<Value> args);
  struct Counts;
  Counts* use_counts(Value& list, i32 given, i64 rows);
  bool change(const Builtin& builtin, std::span<Value> args);
  void fix_einsum(std::span<Value> args);
  i32 add_part(const Value& v, int depth = 0);
  void add_effects();

  const Program& program_;
  lang::CallContext& ctx_;
  std::vector<Value>& globals_;
  std::unique_ptr<TracedCall> call_ = std::make_unique<TracedCall>();
  Trace& trace_ = call_->trace;
  u32 birth_ = 0;
  u32 first_symbol_ = 0;
  i32 ints_ = 0;
  std::vector<bool> is_fixed_;
  std::map<i64, i32> constants_;
  struct Known {
    SourceRef ref;
    u64 sequence;
    i32 place = -1;  // of an input
  };
  std::unordered_map<const Node*, Known> known_;
  std::vector<Tensor> held_;  // so that no other node has their address
  std::vector<Value> held_objects_;
  std::unordered_map<const lang::Object*, i32> place_of_object_;
  std::map<std::tuple<i32, Place::Kind, u32>, i32> place_numbers_;
  struct CacheLayer {
    i32 cache;
    u32 layer;
    Tensor keys, values;  // before the call
    i32 keys_input, values_input;
    // Of a batch, once the call has appended to it.
    i32 longest = -1;
    std::vector<i32> added;
    bool has_grown = false;
  };
  std::vector<CacheLayer> layers_;
  // Lists that say how many rows each sequence takes.
  struct Counts {
    Value given, list;  // as they came; with their symbols
    std::vector<i64> values;
    std::vector<i32> symbols;
    std::vector<Place::Count> counts;
    i32 rows = -1;  // that they were compared with
  };
  std::vector<Counts> counts_;
  std::vector<TracePatch> patches_;  // of the op that is recorded next
  const OpDef* patched_op_ = nullptr;
  struct GivenGenerator {
    i32 seed, position;  // ints
    size_t effect;
  };
  std::unordered_map<i32, GivenGenerator> generators_;  // by place
  std::vector<const lang::Object*> in_result_;
  Span where_;
  bool is_aborted_ = false, is_rare_ = false;
  bool is_telling_ = false;  // it makes a tensor that is an input
  std::string reason_;
  Span reason_where_;
  u32 birth_before_ = 0;
  RecordObserver* observer_before_ = nullptr;
  lang::ValueTracer* tracer_before_ = nullptr;
};

// Objects whose content never changes: any name of them is as good as another.
bool is_unchanging(lang::ObjectKind kind);
// What a cache converts to what it is given; empty: it does not.
Value stored_type(const lang::KVCache& cache);
// Whether a KVCache is in it.
bool holds_cache(const Value& v, int depth = 0);
// The items of a list or tuple, else null.
const std::vector<Value>* items_of(const Value& v);

}  // namespace tl::interp
