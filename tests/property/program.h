// Random programs as data. What a step reads and which op it is are fixed when a program is made (its
// structure, so that plans are used again); sizes, offsets and steps of slices are drawn at every call.
#pragma once

#include <string>
#include <vector>

#include "tests/property/random.h"
#include "tl/tensor/op.h"

namespace tl::property {

// One op of a function. `choice` decides what it reads and which of its forms it has.
struct Step {
  enum class Kind : u8 {
    Op,         // on values of the function, brought to shapes that the op takes
    TableRow,   // a row of the op's case table, with dims of its own at some calls
    Append,     // rows behind the function's cache
    Truncate,   // the cache's first rows
    Chain,      // the next op of an element-wise chain that nobody else reads
    Put,        // one element of a value becomes another, over its memory where nobody else needs that
    Divide,     // two values by one op
    Repeat,     // rounds over a value until a count is zero
    DropValue,  // forgets a value, so that its memory may be used again
  };
  Kind kind = Kind::Op;
  const OpDef* op = nullptr;
  u64 choice = 0;
};

struct Function {
  std::vector<Step> steps;
  int params = 2;
  int results = 2;  // its last values
};

// One statement of a thread. `choice` decides which variables it is about.
struct Statement {
  enum class Kind : u8 {
    Fresh,     // a variable with new numbers
    Call,      // of `function`, `times` times
    NewCache,  // with room for a few rows
    Fork,      // one cache becomes a copy of another
    Truncate,  // of a cache
    Drop,      // of a variable
    Look,      // at a variable: an observation
    Item,      // one number of a variable: an observation
    Flush,     // everything recorded is handed over
    Publish,   // a variable, to the threads that were started later
    Take,      // what an earlier thread has published, when it has
    Threads,   // each with its own executor runs one of `bodies` over copies of all variables
  };
  Kind kind = Kind::Look;
  u64 choice = 0;
  int function = 0, times = 1;
  std::vector<std::vector<Statement>> bodies;
};

struct Program {
  u64 seed = 0;
  i64 cols = 32;     // of most values
  i64 max_rows = 0;  // of a fresh variable
  int threads = 0;   // that it starts at most
  std::vector<Function> functions;
  std::vector<Statement> main;
};

// `is_small`: for sanitizers, which are slow.
Program make_program(u64 seed, bool is_small);
// As text. What a step does with the sizes of a call is in the log of a run.
std::string to_string(const Program& program);
std::string_view name_of(Step::Kind kind);
std::string_view name_of(Statement::Kind kind);

}  // namespace tl::property
