// Which steps of a plan must come after which: derived from what they read, write, append and share, so that
// it holds for every size, offset and emptiness of a run.
#pragma once

#include "tl/exec/planner.h"

namespace tl {

// Fills Step::after and Step::producers, once slots are known. An edge for:
// - reading what a step has written (through any views of it, and through appends: each comes after the one
// whose
//   rows it stands behind);
// - a slot's next user, after all that read or wrote the one before;
// - writing over a value (donation, an append that rewinds), after all that read or wrote that memory before.
// An append behind the rows that are there needs no edge to their readers: no reader reaches behind its own
// rows.
void find_order(const Snapshot& snapshot, Plan& plan);

}  // namespace tl
