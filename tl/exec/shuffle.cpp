#include "tl/exec/shuffle.h"

namespace tl {

void shuffle_commands(Batch& batch, const Order& order, std::mt19937_64& random) {
  const size_t n = batch.commands.size();
  std::vector<std::vector<size_t>> users(n);
  std::vector<size_t> waiting_for(n, 0), ready;
  for (size_t i = 0; i < n; ++i) {
    for (const i32 e : order.after(i)) users[static_cast<size_t>(e)].push_back(i);
    waiting_for[i] = order.after(i).size();
    if (waiting_for[i] == 0) ready.push_back(i);
  }
  std::vector<Command> shuffled;
  while (!ready.empty()) {
    const size_t pick = random() % ready.size();
    const size_t next = ready[pick];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    shuffled.push_back(batch.commands[next]);
    for (const size_t user : users[next]) {
      if (--waiting_for[user] == 0) ready.push_back(user);
    }
  }
  TL_CHECK(shuffled.size() == n, "an order with a circle");
  batch.commands = std::move(shuffled);
}

}  // namespace tl
