#pragma once
// A container while coffer-oci makes it: kept for later commands, or undone as a whole. One thread.

#include "runtime/lifecycle.hpp"
#include "runtime/systemd.hpp"
#include "sys/process.hpp"

namespace coffer::runtime {

struct Making {
    StateFolder folder;
    State state;
    oci::Spec spec;
    sys::cgroup::Cgroup cgroup;
    Created created;
    sys::Process holder;  // of a scope that the container is not in yet
    systemd::Bus bus = systemd::Bus::System;
    bool kept = false;

    explicit Making(StateFolder made) : folder(std::move(made)) {}
    ~Making();
    Making(Making&& other) noexcept;
    Making& operator=(Making&&) = delete;
    Making(const Making&) = delete;
    Making& operator=(const Making&) = delete;

    // The container stays.
    Created keep();
};

// The folder of a new container; what a dead predecessor of the same id left is removed first.
Result<StateFolder> claim_folder(const Settings& settings, const std::string& id);
// Checked, with its state and its control group; without a process.
Result<Making> begin(const Containers& containers, const ContainerRequest& request,
                     StateFolder folder);
// Its process is there, as `created`: its state, its terminal, its pid file.
Result<void> take_in(const ContainerRequest& request, Making& making);
// Everything but the start, on which `listener_fd` waits (CreateOptions::start_listener_fd).
Result<Making> make(const Containers& containers, const ContainerRequest& request, int listener_fd,
                    StateFolder folder);
// What is left of a container whose processes may be killed: group, unit and folder.
Result<void> destroy(const Settings& settings, StateFolder folder, const State& state);
systemd::Bus bus_of(const Settings& settings);

}  // namespace coffer::runtime
