// The threads of a CPU device. They take parts of whatever a stream offers; a barrier is "all parts are
// done", never "all threads have arrived", so a thread that a neighbour has pushed off its core delays only
// the part it holds.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "tl/device/kernel.h"

namespace tl::cpu {

// What one thread has for itself.
struct Worker {
  Scratch scratch;
};

// Something that offers parts of work.
class WorkSource {
 public:
  virtual ~WorkSource() = default;
  // Runs the next part that is to be done; false if there is none. One at a time, so that a source that is
  // added meanwhile has its turn too.
  virtual bool run_next(Worker& worker) = 0;
  // Another source has finished something this one may be waiting for.
  virtual void poke() = 0;
};

class WorkerPool {
 public:
  // Fewer threads where the system gives no more.
  explicit WorkerPool(int threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;

  int threads() const { return static_cast<int>(threads_.size()); }
  // Fewer where the machine has far fewer cores: work is worth no more parts than these take.
  int useful_threads() const;
  void add(std::shared_ptr<WorkSource> source);
  void remove(const WorkSource* source);
  // There is work for `parts` threads.
  void notify(int parts);
  void poke_all();

 private:
  using Sources = std::vector<std::shared_ptr<WorkSource>>;
  void run();
  bool run_once(Worker& worker, const Sources& sources);
  bool stay_awake(u32 seen);
  Sources snapshot() const;

  const int cores_;
  std::vector<std::thread> threads_;
  mutable std::mutex mutex_;
  Sources sources_;
  std::atomic<u32> version_{0};  // of sources_
  std::atomic<u32> signal_{0};   // counts notifications; sleepers wait for it to change
  std::atomic<int> sleepers_{0};
  std::atomic<int> waking_{0};  // that look for work without sleeping
  std::atomic<bool> stop_{false};
};

}  // namespace tl::cpu
