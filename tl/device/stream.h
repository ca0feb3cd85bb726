// Commands, and the streams of one device that run them. Order follows from what commands name and from
// nothing else.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tl/device/buffer.h"
#include "tl/device/kernel.h"

namespace tl {

// A byte range that a command reads or writes.
struct Access {
  enum class Mode : u8 { Read, Write };
  BufferId buffer{};
  i64 offset_bytes = 0, size_bytes = 0;
  Mode mode = Mode::Read;
};

inline bool conflict(const Access& a, const Access& b) {
  return a.buffer == b.buffer && (a.mode == Access::Mode::Write || b.mode == Access::Mode::Write) &&
         a.offset_bytes < b.offset_bytes + b.size_bytes && b.offset_bytes < a.offset_bytes + a.size_bytes;
}

// Everything a backend may know about one step. Nothing is inferred from global state.
struct Command {
  const OpDef* op = nullptr;  // its name, for errors, traces and checksums
  const Kernel* kernel = nullptr;
  InlineVector<Operand, kMaxInputs> inputs;
  Operand output;
  Attrs attrs;
  i64 appended = 0;                               // see KernelCall
  InlineVector<Access, kMaxInputs + 1> accesses;  // all memory touched
  InlineVector<Ticket, 4> after;                  // must be reached first, on any stream of any device
  Span origin;                                    // the program's line
  u64 sequence = 0;                               // of the node it computes
};

// The scalars and memory of one replay of a prepared batch: the same commands in the same order, other
// operands.
using Bindings = std::vector<Command>;
enum class PreparedId : u32 {};

// Used by one thread at a time; each thread has its own.
class CommandStream {
 public:
  virtual ~CommandStream() = default;
  virtual StreamId id() const = 0;

  // Queues `batch` without blocking. Commands of a batch may overlap unless their accesses conflict; batches
  // of one stream keep their order where they conflict. A buffer may be let go of at once: its memory stays
  // until its tickets are reached.
  virtual Result<Ticket> submit(std::vector<Command> batch) = 0;

  // The order among the commands of `batch`, worked out once and kept (on CUDA: a captured graph), and a
  // replay with other buffers, dims and scalars whose accesses conflict in the same pairs.
  virtual Result<PreparedId> prepare(std::span<const Command> batch) = 0;
  virtual Result<Ticket> replay(PreparedId plan, Bindings bindings) = 0;

  virtual bool reached(Ticket ticket) const = 0;
  // Blocks until `ticket`. Returns the first failure of any command before it, naming its op; the failure is
  // also kept with the stream and makes every command that depends on it fail.
  virtual Result<void> wait(Ticket ticket) = 0;
};

// For each command of a batch: the latest earlier command it must come after, or -1. Found from the named
// ranges.
std::vector<i32> find_hazards(std::span<const Command> batch);

}  // namespace tl
