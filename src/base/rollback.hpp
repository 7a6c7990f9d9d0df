#pragma once
// Rollback: undo actions run in reverse order unless the whole step list was committed.
// Belongs to one thread.
//
//   Rollback undo;
//   auto veth = TRY(link::create_veth(...));
//   undo.add([&] { link::remove(veth); });
//   ...
//   undo.commit();
//
// Fault injection: with MUST_FAIL_AT=n in the environment, the n-th add() of the process reports
// failure through failed(), so that tests can fail each step of a list in turn.

#include <functional>
#include <vector>

#include "base/result.hpp"

namespace coffer {

class Rollback {
  public:
    Rollback() = default;
    ~Rollback() { run(); }
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;
    Rollback(Rollback&&) = delete;
    Rollback& operator=(Rollback&&) = delete;

    // Registers what undoes the step just done. Fails only under fault injection, and then the
    // action is registered all the same.
    Result<void> add(std::function<void()> action);
    void commit() { actions_.clear(); }
    void run();

  private:
    std::vector<std::function<void()>> actions_;
};

}  // namespace coffer
