// Commands, and the streams of one device that run them. Order follows from what a plan knows of its steps
// and from nothing else.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "tl/device/buffer.h"
#include "tl/device/kernel.h"
#include "tl/device/outcome.h"

namespace tl {

// A byte range that a command reads or writes. Nobody needs them for order, which the plan knows; who checks
// a plan (the null device, the validator) is given them.
struct Access {
  enum class Mode : u8 { Read, Write };
  BufferId buffer{};
  i64 offset_bytes = 0, size_bytes = 0;
  Mode mode = Mode::Read;
  // Whose value a read means to find there: the step of a run. Null: it was made otherwise, or nobody says.
  const Outcome* run = nullptr;
  i32 step = -1;
};

inline bool conflict(const Access& a, const Access& b) {
  return a.buffer == b.buffer && (a.mode == Access::Mode::Write || b.mode == Access::Mode::Write) &&
         a.size_bytes > 0 && b.size_bytes > 0 && a.offset_bytes < b.offset_bytes + b.size_bytes &&
         b.offset_bytes < a.offset_bytes + a.size_bytes;
}

// The order among the commands of a batch, for every size they may have: each comes after some earlier ones.
class Order {
 public:
  // Adds the next command; `earlier` are numbers of commands before it.
  void add(std::span<const i32> earlier);
  std::span<const i32> after(size_t command) const {
    return {earlier_.data() + begin_[command], earlier_.data() + begin_[command + 1]};
  }
  size_t size() const { return begin_.size() - 1; }
  // One after the other.
  static Order chain(size_t commands);

 private:
  std::vector<u32> begin_{0};
  std::vector<i32> earlier_;
};

// One step: what is computed, by which kernel. Its operands lie in the batch.
struct Command {
  const OpDef* op = nullptr;  // its name, for errors, traces and checksums
  const Kernel* kernel = nullptr;
  u32 first_operand = 0;  // inputs, then outputs
  u32 attrs = 0;
  u8 inputs = 0, outputs = 0;
  bool is_skipped = false;  // its result is there already: nothing to do in this run
  u32 first_access = 0, accesses = 0;
  i32 step = 0;                        // of the run, for its outcome
  std::span<const i32> producers;      // steps of the same run whose values it reads: it fails if they did
  u32 first_foreign = 0, foreign = 0;  // values of other runs that it reads
  i64 kept_bytes = 0;                  // see KernelCall
  Span origin;                         // the program's line
  u64 sequence = 0;                    // of the node it computes
};

struct Batch;

// Where batches go that are to come back as they are: whoever evaluates the same plan again fills in only
// what has changed.
class BatchHome {
 public:
  // Null: none is there.
  std::unique_ptr<Batch> take();
  // Keeps it, unless many are here already.
  void give(std::unique_ptr<Batch> batch);

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Batch>> free_;
};

// A batch may be run again and again: until a number that it writes itself is zero, or it has run often
// enough. Everything else of it stays as it is, memory too: its own last commands put what one round has made
// to where the next one reads it. Nothing on the host takes part, so rounds cost what their commands cost. A
// stream of the CPU reads the number between two rounds; on CUDA the batch's graph is the body of a
// conditional node (while), which a kernel behind the last command sets from the number and a counter of
// rounds, and the ticket is reached when the node is done. A round in which anything fails, or that is
// cancelled, is the last.
struct Rounds {
  const i64* count = nullptr;  // memory of the device; null: the batch runs once
  i64 limit = 1;
  // Asked between rounds by streams that compute on the thread that submits: true ends them, and `last_step`
  // fails. Null: never.
  const std::function<bool()>* stop = nullptr;
  i32 last_step = 0;  // comes after all others, and fails if they do
};

// The commands of one submission with their memory, sizes and scalars; kept and filled again.
struct Batch {
  std::vector<Command> commands;
  std::vector<Operand> operands;
  std::vector<Attrs> attrs;
  std::vector<Access> accesses;
  std::vector<StepRef> foreign;
  std::vector<Ticket> after;  // must be reached before any command starts, on any stream of any device
  std::shared_ptr<Outcome> outcome;
  std::shared_ptr<const void> keep;  // what `producers` point into
  Rounds rounds;
  std::shared_ptr<BatchHome> home;  // null: the stream's, where it is emptied
  // Its owner's: the run it was filled for, and the addresses that it got then.
  u64 filled_at = 0;
  std::vector<std::byte*> addresses;

  std::span<const Operand> inputs_of(const Command& c) const {
    return {&operands[c.first_operand], c.inputs};
  }
  std::span<const Operand> outputs_of(const Command& c) const {
    return {&operands[c.first_operand] + c.inputs, c.outputs};
  }
  std::span<const Access> accesses_of(const Command& c) const {
    return {accesses.data() + c.first_access, c.accesses};
  }
  // Adds a command; gives it for what is not here yet.
  Command& add(const OpDef& op, const Kernel& kernel, std::span<const Operand> inputs,
               std::span<const Operand> outputs, Attrs attributes = {});
  // What keeps command `c` from running: the failure of something it reads. Null: nothing.
  FailurePtr blocked_by(const Command& c) const;
  // Whether another round follows the first `done`.
  bool goes_on(i64 done) const {
    return rounds.count != nullptr && done < rounds.limit && !outcome->any_failed() && *rounds.count != 0;
  }
  // The same for streams that compute on the thread that submits, which may have been told to stop.
  bool goes_on_here(i64 done) const;
  // The arguments of its kernel, but for part, SIMD level and scratch.
  KernelCall call_of(size_t command) const;
  void clear();
  // Only what is of one run: its outcome, and what of other runs it depends on.
  void clear_run();
};

// Is told of every command that has run, by the thread that finished it. Times are of the steady clock.
class CommandObserver {
 public:
  virtual ~CommandObserver() = default;
  // From its start to its end; `busy_ns` is the time of all threads that computed parts of it.
  virtual void ran(const Batch& batch, size_t command, StreamId stream, i64 begin_ns, i64 end_ns,
                   i64 busy_ns) = 0;
};
i64 now_ns();

enum class PreparedId : u32 {};

// What the caller does next, as far as it knows: a stream may compute little work at once on the thread of
// one who waits for it.
enum class Then : u8 { GoesOn, Waits };

// Used by one thread at a time; each thread has its own.
class CommandStream {
 public:
  virtual ~CommandStream() = default;
  virtual StreamId id() const = 0;

  // The order among the commands of a batch, worked out once and kept (on CUDA: a captured graph), until
  // released; and a replay with other memory, dims and scalars.
  virtual Result<PreparedId> prepare(const Order& order) = 0;
  virtual void release(PreparedId plan) = 0;
  // Queues `batch` without blocking. Batches of one stream keep their order. A buffer may be let go of at
  // once: its memory stays until its tickets are reached.
  virtual Result<Ticket> replay(PreparedId plan, std::unique_ptr<Batch> batch, Then then) = 0;

  virtual bool reached(Ticket ticket) const { return Timelines::instance().reached(ticket); }
  // Blocks until `ticket`, or until `timeout_seconds` have passed (0: for ever); false on time-out. Whether
  // the commands succeeded is in the outcomes.
  virtual bool wait(Ticket ticket, double timeout_seconds = 0) {
    return Timelines::instance().wait(ticket, timeout_seconds);
  }
  // What has been queued and is not done yet fails with Code::Interrupted, as soon as the parts that are
  // being computed end. Later batches run.
  virtual void cancel() {}
  // How the caller waits, for streams that must wait inside of `replay`: with time-outs and interrupts. Fails
  // when it gives up.
  virtual void wait_by(std::function<Result<void>(Ticket)> /*waiter*/) {}
  // What is being computed, for the report of a wait that takes too long.
  struct Running {
    const OpDef* op = nullptr;  // null: nothing
    Span origin = {};
  };
  virtual Running running() const { return {}; }

  // A batch to fill, as a rule one whose memory is there already.
  std::unique_ptr<Batch> take_batch();

 protected:
  // Batches that are done, for take_batch.
  class Recycler {
   public:
    std::unique_ptr<Batch> take();
    void give(std::unique_ptr<Batch> batch);

   private:
    BatchHome emptied_;
  };
  const std::shared_ptr<Recycler> recycler_ = std::make_shared<Recycler>();
};

// The message of a failed command: its op, what its kernel said, and the shapes it had.
Error command_error(const Batch& batch, const Command& command, std::string_view reason);
Error interrupted_error();
// Whether TL_FAIL wants the command to fail, under its own name or that of an op it stands for.
bool fails_on_purpose(const Batch& batch, const Command& command);

// Pairs of commands whose ranges conflict though `order` lets them overlap: none, or the plan is wrong. Needs
// the batch's accesses.
struct Unordered {
  size_t earlier, later;
};
std::vector<Unordered> find_unordered(const Batch& batch, const Order& order);

}  // namespace tl
