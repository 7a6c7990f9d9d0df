#include "store/manifests.hpp"

#include <array>

#include "base/time.hpp"

namespace coffer::store {

namespace {

// `since`: when it came, or lost a tag, in seconds since 1970; 0 for one whose image was removed.
constexpr std::array<std::string_view, 1> kSchema = {
    R"sql(
CREATE TABLE manifests (
    repository TEXT NOT NULL,
    digest TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT NOT NULL,
    subject TEXT NOT NULL,
    size INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX manifests_by_subject ON manifests (repository, subject) WHERE subject <> '';
CREATE TABLE manifest_blobs (
    repository TEXT NOT NULL,
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (repository, manifest, digest),
    FOREIGN KEY (repository, manifest) REFERENCES manifests ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX manifest_blobs_by_digest ON manifest_blobs (digest, repository);
CREATE TABLE manifest_tags (
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, digest) REFERENCES manifests ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX manifest_tags_by_digest ON manifest_tags (repository, digest);
CREATE TRIGGER manifest_untagged AFTER DELETE ON manifest_tags BEGIN
    UPDATE manifests SET since = unixepoch()
        WHERE repository = OLD.repository AND digest = OLD.digest;
END;
CREATE TRIGGER manifest_retagged AFTER UPDATE ON manifest_tags BEGIN
    UPDATE manifests SET since = unixepoch()
        WHERE repository = OLD.repository AND digest = OLD.digest;
END;
CREATE TABLE blob_aliases (
    alias TEXT PRIMARY KEY,
    digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX blob_aliases_by_digest ON blob_aliases (digest);
)sql",
};

constexpr std::string_view kTag =
    "INSERT INTO manifest_tags (repository, tag, digest) VALUES (?, ?, ?) "
    "ON CONFLICT DO UPDATE SET digest = excluded.digest";
constexpr std::string_view kUntag = "DELETE FROM manifest_tags WHERE repository = ? AND tag = ?";
constexpr std::string_view kColumns =
    "SELECT repository, digest, media_type, artifact_type, subject, size FROM manifests ";

KeptManifest manifest_of(const Row& row) {
    return {row.text(0), row.text(1), row.text(2),
            row.text(3), row.text(4), static_cast<std::uint64_t>(row.integer(5))};
}

Failure no_such(std::string_view repository, std::string_view digest) {
    return fail(Code::NotFound, "no such manifest: {}@{}", repository, digest);
}

}  // namespace

Manifests::Manifests(Database& database, Gc& gc) : database_(&database), gc_(&gc) {}

Result<void> Manifests::migrate(Database& database) {
    return database.migrate("manifests", kSchema);
}

Result<void> Manifests::add(const KeptManifest& manifest, const std::vector<KeptBlob>& blobs) {
    Transaction tx = TRY(database_->begin());
    // One that is there is as new as if it had just come.
    TRY(
        tx.run("INSERT INTO manifests (repository, digest, media_type, artifact_type, subject, "
               "size, since) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
               "SET since = excluded.since, media_type = excluded.media_type",
               {manifest.repository, manifest.digest, manifest.media_type, manifest.artifact_type,
                manifest.subject, manifest.size, unix_seconds(now())}));
    const auto refer = [&](const KeptBlob& blob) {
        return tx.run(
            "INSERT INTO manifest_blobs (repository, manifest, digest, size) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            {manifest.repository, manifest.digest, blob.digest, blob.size});
    };
    TRY(refer({manifest.digest, manifest.size}));
    for (const KeptBlob& blob : blobs) TRY(refer(blob));
    return tx.commit();
}

Result<std::optional<KeptManifest>> Manifests::find(std::string_view repository,
                                                    std::string_view digest) const {
    const auto row = TRY(database_->first(format("{}WHERE repository = ? AND digest = ?", kColumns),
                                          {repository, digest}));
    if (!row) return std::optional<KeptManifest>();
    return std::optional(manifest_of(*row));
}

Result<void> Manifests::remove(std::string_view repository, std::string_view digest) {
    Transaction tx = TRY(database_->begin());
    const auto blobs = first_column(
        TRY(tx.query("SELECT digest FROM manifest_blobs WHERE repository = ? AND manifest = ?",
                     {repository, digest})));
    if (TRY(tx.run("DELETE FROM manifests WHERE repository = ? AND digest = ?",
                   {repository, digest})) == 0) {
        return no_such(repository, digest);
    }
    TRY(tx.commit());
    TRY(gc_->collect(blobs, {}));
    return {};
}

Result<std::vector<KeptManifest>> Manifests::referrers(std::string_view repository,
                                                       std::string_view subject) const {
    std::vector<KeptManifest> found;
    for (const Row& row : TRY(database_->query(
             format("{}WHERE repository = ? AND subject = ? AND subject <> '' ORDER BY digest",
                    kColumns),
             {repository, subject}))) {
        found.push_back(manifest_of(row));
    }
    return found;
}

Result<void> Manifests::tag(std::string_view repository, std::string_view tag,
                            std::string_view digest) {
    const auto set = database_->run(kTag, {repository, tag, digest});
    if (!set && set.error().code == Code::Conflict) return no_such(repository, digest);
    if (!set) return fail(set.error());
    return {};
}

Result<bool> Manifests::untag(std::string_view repository, std::string_view tag) {
    return TRY(database_->run(kUntag, {repository, tag})) > 0;
}

std::optional<std::string> Manifests::find_tag(std::string_view repository,
                                               std::string_view tag) const {
    const auto row = database_->first(
        "SELECT digest FROM manifest_tags WHERE repository = ? AND tag = ?", {repository, tag});
    if (!row || !*row) return {};
    return (*row)->text(0);
}

Result<std::vector<std::string>> Manifests::tags(std::string_view repository) const {
    return first_column(TRY(database_->query(
        "SELECT tag FROM manifest_tags WHERE repository = ? ORDER BY tag", {repository})));
}

Result<std::vector<std::string>> Manifests::tags_of(std::string_view repository,
                                                    std::string_view digest) const {
    return first_column(TRY(database_->query(
        "SELECT tag FROM manifest_tags WHERE repository = ? AND digest = ? ORDER BY tag",
        {repository, digest})));
}

Result<std::vector<std::string>> Manifests::repositories(std::string_view prefix) const {
    return first_column(
        TRY(database_->query("SELECT DISTINCT repository FROM manifests "
                             "WHERE substr(repository, 1, length(?1)) = ?1 "
                             "ORDER BY repository",
                             {prefix})));
}

Result<bool> Manifests::refers(std::string_view repository, std::string_view digest) const {
    return TRY(database_->first("SELECT 1 FROM manifest_blobs WHERE digest = ? AND repository = ? "
                                "LIMIT 1",
                                {digest, repository}))
        .has_value();
}

Result<std::optional<std::string>> Manifests::find_repository_of(std::string_view prefix,
                                                                 std::string_view digest) const {
    const auto row =
        TRY(database_->first("SELECT repository FROM manifest_blobs "
                             "WHERE digest = ?1 AND substr(repository, 1, length(?2)) = ?2 LIMIT 1",
                             {digest, prefix}));
    return row ? std::optional(row->text(0)) : std::nullopt;
}

Result<void> Manifests::add_alias(std::string_view alias, std::string_view digest) {
    TRY(
        database_->run("INSERT INTO blob_aliases (alias, digest) VALUES (?, ?) "
                       "ON CONFLICT DO UPDATE SET digest = excluded.digest",
                       {alias, digest}));
    return {};
}

std::optional<std::string> Manifests::find_alias(std::string_view alias) const {
    const auto row = database_->first("SELECT digest FROM blob_aliases WHERE alias = ?", {alias});
    if (!row || !*row) return {};
    return (*row)->text(0);
}

// In one step: a crash leaves nothing that has lost its tag and stays.
Result<void> Manifests::change_tag(std::string_view repository, std::string_view tag,
                                   std::optional<std::string_view> digest) {
    Transaction tx = TRY(database_->begin());
    const auto before = TRY(tx.query(
        "SELECT digest FROM manifest_tags WHERE repository = ? AND tag = ?", {repository, tag}));
    if (digest) {
        const auto set = tx.run(kTag, {repository, tag, *digest});
        if (!set && set.error().code == Code::Conflict) return no_such(repository, *digest);
        TRY(set);
    } else {
        TRY(tx.run(kUntag, {repository, tag}));
    }
    for (const Row& row : before) {
        TRY(
            tx.run("UPDATE manifests SET since = 0 WHERE repository = ?1 AND digest = ?2 AND "
                   "NOT EXISTS (SELECT 1 FROM manifest_tags AS t WHERE t.repository = ?1 AND "
                   "t.digest = ?2)",
                   {repository, row.text(0)}));
    }
    TRY(tx.commit());
    return expire_dropped();
}

Result<void> Manifests::move_tag(std::string_view repository, std::string_view tag,
                                 std::string_view digest) {
    return change_tag(repository, tag, digest);
}

Result<void> Manifests::drop_tag(std::string_view repository, std::string_view tag) {
    return change_tag(repository, tag, std::nullopt);
}

Result<void> Manifests::expire_dropped() {
    TRY(expire(std::chrono::seconds(unix_seconds(now()) - 1)));
    return {};
}

Result<std::size_t> Manifests::expire(std::chrono::seconds untagged) {
    const std::int64_t before = unix_seconds(now()) - untagged.count();
    std::size_t removed = 0;
    // In passes: what an index lists, and what is about a manifest, goes with it.
    for (;;) {
        std::vector<std::string> blobs;
        Transaction tx = TRY(database_->begin());
        const auto rows = TRY(tx.query(
            "SELECT repository, digest FROM manifests AS m WHERE since < ? AND NOT EXISTS"
            " (SELECT 1 FROM manifest_tags AS t"
            "  WHERE t.repository = m.repository AND t.digest = m.digest)"
            " AND NOT EXISTS (SELECT 1 FROM manifest_blobs AS b WHERE b.digest = m.digest"
            "  AND b.repository = m.repository AND b.manifest <> m.digest)"
            " AND NOT EXISTS (SELECT 1 FROM manifests AS s WHERE s.repository = m.repository"
            "  AND s.digest = m.subject)",
            {before}));
        if (rows.empty()) return removed;
        for (const Row& row : rows) {
            for (const Row& blob : TRY(tx.query(
                     "SELECT digest FROM manifest_blobs WHERE repository = ? AND manifest = ?",
                     {row.text(0), row.text(1)}))) {
                blobs.push_back(blob.text(0));
            }
            TRY(
                tx.run("UPDATE manifests SET since = 0 WHERE repository = ?1 AND (subject = ?2 OR"
                       " digest IN (SELECT digest FROM manifest_blobs"
                       " WHERE repository = ?1 AND manifest = ?2))",
                       {row.text(0), row.text(1)}));
            TRY(tx.run("DELETE FROM manifests WHERE repository = ? AND digest = ?",
                       {row.text(0), row.text(1)}));
        }
        TRY(tx.commit());
        removed += rows.size();
        TRY(gc_->collect(blobs, {}));
    }
}

}  // namespace coffer::store
