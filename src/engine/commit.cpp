// Commit: a container's changes become the topmost layer of a new image, its configuration that of
// the image.
#include "base/rollback.hpp"
#include "engine/changes.hpp"
#include "engine/files_impl.hpp"
#include "engine/images_impl.hpp"
#include "engine/port_ranges.hpp"
#include "json/codec.hpp"
#include "sys/cgroup.hpp"

namespace coffer::engine {

namespace {

// The names on the wire are the same.
Result<oci::RunConfig> run_config_of(const api::ContainerConfig& config) {
    auto out = TRY(json::decode<oci::RunConfig>(json::encode(config)));
    out.exposed_ports = split_ports(out.exposed_ports);
    return out;
}

// What `config` leaves open is as the container has it.
void merge(oci::RunConfig& config, const oci::RunConfig& container) {
    if (config.user.empty()) config.user = container.user;
    config.exposed_ports.insert(container.exposed_ports.begin(), container.exposed_ports.end());
    for (const std::string& entry : container.env) {
        if (!has_variable(config.env, entry)) config.env.push_back(entry);
    }
    config.labels.insert(container.labels.begin(), container.labels.end());
    if (!config.entrypoint || config.entrypoint->empty()) {
        if (!config.cmd || config.cmd->empty()) config.cmd = container.cmd;
        if (!config.entrypoint) config.entrypoint = container.entrypoint;
    }
    if (!config.healthcheck) config.healthcheck = container.healthcheck;
    if (config.working_dir.empty()) config.working_dir = container.working_dir;
    config.volumes.insert(container.volumes.begin(), container.volumes.end());
    if (config.stop_signal.empty()) config.stop_signal = container.stop_signal;
}

Result<oci::RunConfig> config_of(const CommitOptions& options, const Record& record) {
    const oci::RunConfig container = TRY(run_config_of(record.config));
    oci::RunConfig config = container;
    if (options.config) config = TRY(run_config_of(*options.config));
    TRY(apply_changes(options.changes, config));
    merge(config, container);
    return config;
}

// Frozen, but not said to be: should the engine end meanwhile, the next one lets it go on.
Result<void> freeze(const Record& record, Rollback& undo) {
    if (record.status != "running") return {};
    auto cgroup = TRY(sys::cgroup::Cgroup::open(record.cgroup_path));
    TRY_CONTEXT(cgroup.freeze(), "cannot pause container {}", record.id);
    return undo.add([path = record.cgroup_path] { thaw_group(path); });
}

}  // namespace

Result<std::string> Files::commit(const CommitOptions& options, const Cancel& cancel) {
    const auto container = TRY(impl_->containers.find(options.container));
    const auto name = TRY(new_name(options.repository, options.tag));
    // Nobody starts, stops or removes it while its layer is read.
    std::optional<Container::Claim> claim(container);
    const auto record = container->record();
    if (container->removed()) {
        return fail(Code::NotFound, "No such container: {}", options.container);
    }
    NewImage image;
    image.name = name;
    image.parent = record->image_id;
    image.comment = options.comment;
    image.author = options.author;
    image.created_by = join(record->config.cmd.value_or(std::vector<std::string>()), " ");
    image.config = TRY(config_of(options, *record));

    files::Request request = TRY(impl_->layers_of(*record));
    request.verb = files::Verb::Layer;
    request.place = files::Place::Layers;
    Rollback undo;
    if (options.pause) TRY(freeze(*record, undo));
    std::optional<files::Client> client(TRY(impl_->start(request, -1, cancel)));
    image.layer = [&](char* to, std::size_t size) -> Result<std::size_t> {
        const std::size_t n = TRY(client->read(to, size));
        if (n > 0) return n;
        // All is read: the container goes on while the image is made.
        undo.run();
        claim.reset();
        return n;
    };
    const std::string id = TRY(impl_->core.images.add(image, cancel));
    impl_->containers.publish_event(*record, "commit",
                                    {{"comment", options.comment},
                                     {"imageID", id},
                                     {"imageRef", name ? name->familiar_string() : ""}});
    return id;
}

}  // namespace coffer::engine
