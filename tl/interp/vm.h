// The loop that runs bytecode. Calls of the program's functions use frames of its own, not the C++ stack.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "tl/builtins/task.h"
#include "tl/interp/interp.h"
#include "tl/interp/pure_call.h"
#include "tl/interp/tracer.h"
#include "tl/value/heap.h"

namespace tl::interp {

class TaskPool;
struct TaskRecord;

class Vm {
 public:
  // `self`: the task that this interpreter runs; null: the program itself.
  Vm(const Program& program, lang::Host& host, TaskPool& tasks, TaskRecord* self = nullptr);
  ~Vm();

  // Runs one function without arguments to its end.
  Result<Value> run_proto(int proto);
  // Calls one function from outside.
  Result<Value> call(const Proto& proto, std::span<const Value> args);
  // After a failure: no task of it goes on, and the next call starts afresh. Globals stay.
  void recover();
  // Takes in what the program has got since; nothing runs.
  void grow() {
    globals_.resize(program_.globals.size());
    constants_.resize(program_.protos.size());
    traces_.resize(program_.protos.size());
  }
  const Value& global(size_t index) const { return globals_[index]; }
  // Runs the task that this interpreter is for, and those it did not join. The result shares nothing with
  // this interpreter, and its tensors are submitted.
  Result<Value> run_task();
  // Joins the tasks nobody joined, in the order they were spawned; the first that failed is the failure.
  Result<void> finish_tasks();
  // Lets go of the globals, the last first, and calls `drop` where there is one.
  Result<void> drop_globals();
  std::optional<int> exit_code() const { return ctx_.exit_code; }
  const std::vector<TraceEntry>& trace() const { return trace_; }

 private:
  struct Frame {
    const Proto* proto;
    const Instr* pc;
    Value* base;
    const Value* constants;
    const lang::Function* closure;  // null: captures nothing
    Value keep;                     // the closure, where no register holds it
    u16 dst;                        // the caller's register for the result
  };

  // Until frames_ is down to `depth`; false: error_ says why.
  bool execute(size_t depth, Value& result);
  template <bool kTracing>
  bool run_loop(size_t depth, Value& result);
  bool enter(const Proto& proto, Value* base, size_t given, u16 dst, const lang::Function* closure,
             Value keep = {});
  bool call_method(const CallSite& site, Value* args, u16 dst);
  bool call_value(const CallSite& site, Value* callee, u16 dst);
  bool call_native(const Builtin& builtin, std::span<Value> args, Value* dst);
  bool call_native_arranged(const CallSite& site, Value* args, Value* dst);
  bool call_proto(const Proto& proto, Value* args, size_t given, u16 dst);
  bool call_struct_method(const CallSite& site, Value* args, u16 dst, bool& is_done);
  // Arguments by name, moved to where `proto` wants them.
  bool arrange_named(const Proto& proto, const std::vector<std::string>& names, Value* args, size_t count,
                     size_t& given);
  // The positional arguments that a variadic parameter takes, made one list in their place.
  static size_t pack_variadic(const Proto& proto, Value* args, size_t count, size_t positional);
  Result<Value> call_function(const Proto& proto, const lang::Function& closure, const Value& function,
                              std::span<const Value> args);
  Result<Value> call_back(const Value& function, std::span<const Value> args);
  Result<Value> call_pure(const Value& function, std::span<const Value> args);

  // vm_replay.cpp: calls that were traced, and the tracing of others.
  struct FunctionTraces {
    bool is_off = false;  // not worth it, or impossible
    u32 calls = 0, hits = 0, misses = 0, failures = 0;
    std::vector<std::unique_ptr<TracedCall>> variants;
  };
  bool call_traced(const Proto& proto, Value* args, size_t given, Value& out, bool& is_done);
  bool is_small(const Trace& trace) const;  // cheaper as part of what is around it
  bool trace_call(const Proto& proto, Value* args, size_t given, Value& out);
  // False: it does not fit, or error_ is set.
  bool replay(TracedCall& call, Value* args, Value& out);
  i64 more_of(const Place& place, size_t k) const;
  bool find_places(const TracedCall& call, Value* args);
  void tell(const Proto& proto, const TracedCall* traced);
  bool fits_place(const Place& place, const Value& found);
  bool is_only_one(const Value& found) const;
  Value build(const TracedCall& call, i32 part, std::span<const Tensor> outputs) const;

  // vm_tasks.cpp
  Result<Value> spawn(const Value& function, std::span<const Value> args);
  Result<Value> join(const Value& task);
  Result<Value> par_map(std::span<const Value> items, const Value& function);
  Result<void> pack(const Value& function, std::span<const Value> args, TaskRecord& task);
  Result<std::shared_ptr<TaskRecord>> start(const Value& function, std::span<const Value> args);
  Result<Value> finish(TaskRecord& task);
  void abandon(size_t first);  // tasks from children_[first] on: nobody wants their results

  // Instructions that the loop leaves to others, by what they do; `base` is register 0.
  bool operate(const Instr& i, Value* base);
  bool add_amount(const Instr& i, Value* base);
  bool compute_value(const Instr& i, Value* base);
  bool make_value(const Instr& i, Value* base);
  bool look_up(const Instr& i, Value* base);
  bool change_part(const Instr& i, Value* base);
  bool match_value(const Instr& i, Value* base);
  bool take_from_list(const Instr& i, Value* base);

  // vm_try.cpp: failures that the program handles.
  struct Handler {
    size_t frame;  // frames_
    const Instr* pc;
    u16 reg;
    std::unique_ptr<WatchNodes> watch;  // null: nobody waits for what was recorded
  };
  void begin_try(const Instr& i);
  bool end_try();
  bool rethrow(const Value& failure);
  // Whether a handler of a frame from `depth` on takes the failure: its frame is the last one then.
  bool handle(size_t depth);
  void drop_handlers(size_t depth);
  Value failure_value();

  bool fail_unset(size_t global);
  bool slow_condition(const Value& value, bool& out);
  bool prepare_for(Value* state, bool counts, bool of_pairs);
  // `out` is the next item; `has` false at the end.
  bool next_item(Value* state, Value& out, bool& has);
  bool interpolate(const std::vector<TextPart>& parts, Value* values, Value& out);
  bool make_struct(const StructInfo& info, Value* fields, Value& out);
  bool make_tensor_literal(std::vector<Value> items, Value& out);
  void make_closure(const Frame& frame, const ClosureSpec& spec, Value& out);
  bool index_many(const IndexSpec& spec, Value* base, const Value& object, Value& out);
  bool set_index_many(const IndexSpec& spec, Value* base, Value& object, const Value& value);
  bool set_field(Value& object, const std::string& name, const Value& value);
  bool unpack(const Value& from, Value* to, size_t count);
  bool cast(const CastSpec& spec, const Value& value, Value& out);
  bool coerce(Value& value, const TypeSpec& spec, std::string_view name);
  bool bind_dims(const Value& value, const TypeSpec& spec, std::string_view name, Value* base);
  bool wants_attention() const { return interrupts_->is_over() || stop_->load(std::memory_order_relaxed); }
  bool loop_point();
  // Where every value that is in use is held by a register or something like it.
  void free_cycles() {
    if (heap_.is_due()) heap_.collect();
  }
  bool go_on();  // false, with the error, once Ctrl-C is the interpreter's to act on

  bool fail_with(Error error);
  template <typename T>
  bool take(Result<T> result, T& out) {
    if (!result.ok()) return fail_with(std::move(result).error());
    out = std::move(result).value();
    return true;
  }
  bool allow(Result<void> may) { return may.ok() || fail_with(std::move(may).error()); }
  void unwind(size_t depth);
  bool run_drops();
  Span span_of(const Frame& frame) const;

  lang::Heap heap_;  // of all containers of this interpreter; goes last
  const lang::Heap::Scope heap_scope_{heap_};
  lang::DropQueue drops_;
  lang::DropQueue* drops_before_ = nullptr;  // of the interpreter that this thread had before
  bool is_dropping_ = false;
  const Program& program_;
  lang::Host& host_;
  TaskPool& tasks_;
  TaskRecord* const self_;
  std::vector<std::shared_ptr<TaskRecord>> children_;  // spawned and not joined, in order
  lang::CallContext ctx_;
  struct Free {
    void operator()(Value* p) const;
  };
  std::unique_ptr<Value, Free> stack_;
  Value* stack_end_;
  std::vector<Frame> frames_;
  std::vector<Value> globals_;
  std::vector<std::vector<Value>> constants_;  // copies, by Program::protos
  Error error_;
  std::string_view raised_by_;  // the builtin that failed because it was asked to
  std::vector<Handler> handlers_;
  std::vector<TraceEntry> trace_;
  const lang::Interrupts* interrupts_;
  const std::atomic<bool>* stop_;
  int native_depth_ = 0;  // natives that are calling functions back
  bool replays_ = false;
  std::vector<FunctionTraces> traces_;  // by Program::protos
  std::unique_ptr<Tracer> tracer_;      // of the call that is being traced
  PureCall* pure_ = nullptr;            // the innermost that is running
  int traced_depth_ = 0;                // calls that are traced, or were until they could not be
  // Of the call that is being replayed.
  std::vector<const Value*> found_;
  std::vector<Tensor*> found_tensors_;  // in caches
  std::deque<Tensor> found_lengths_;    // of their sequences
  std::vector<i64> given_;
  Span misfit_;  // the place in the program that used what is now another
};

// Empties the operands of `i` that are its temporaries.
inline void clear_taken(const Instr& i, Value* base) {
  if ((i.takes & kTakesB) != 0) base[i.b].clear();
  if ((i.takes & kTakesC) != 0) base[i.c].clear();
}

// A list as literals make it.
Value make_number_list(std::vector<Value> items);

}  // namespace tl::interp
