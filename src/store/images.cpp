#include "store/images.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace coffer::store {

namespace {

BlobKind kind_of(std::int64_t number) {
    switch (number) {
        case 0:
            return BlobKind::Config;
        case 1:
            return BlobKind::Manifest;
        case 2:
            return BlobKind::Index;
        case 4:
            return BlobKind::Attachment;
        default:
            return BlobKind::Layer;
    }
}

int number_of(BlobKind kind) {
    switch (kind) {
        case BlobKind::Config:
            return 0;
        case BlobKind::Manifest:
            return 1;
        case BlobKind::Index:
            return 2;
        case BlobKind::Layer:
            return 3;
        case BlobKind::Attachment:
            return 4;
    }
    return 3;
}

// A tag of store/manifests with the same name as an image's follows it. `since` 0: nobody may want
// the manifest any more.
Result<void> untag_manifest(Transaction& tx, std::string_view name) {
    const auto colon = name.rfind(':');
    if (colon == std::string_view::npos) return {};
    const auto repository = name.substr(0, colon);
    const auto row =
        TRY(tx.first("SELECT digest FROM manifest_tags WHERE repository = ? AND tag = ?",
                     {repository, name.substr(colon + 1)}));
    if (!row) return {};
    TRY(tx.run("DELETE FROM manifest_tags WHERE repository = ? AND tag = ?",
               {repository, name.substr(colon + 1)}));
    TRY(tx.run("UPDATE manifests SET since = 0 WHERE repository = ? AND digest = ?",
               {repository, row->text(0)}));
    return {};
}

// Whether the manifest, or index, with the tag `name` has the image.
Result<bool> manifest_has(Transaction& tx, std::string_view name, std::string_view id) {
    const auto colon = name.rfind(':');
    if (colon == std::string_view::npos) return false;
    return TRY(tx.first("WITH own(repository, digest) AS (SELECT b.repository, b.digest FROM"
                        " manifest_tags AS t JOIN manifest_blobs AS b"
                        " ON b.repository = t.repository AND b.manifest = t.digest"
                        " WHERE t.repository = ? AND t.tag = ?)"
                        " SELECT 1 FROM own WHERE digest = ?3 UNION ALL SELECT 1 FROM own JOIN"
                        " manifest_blobs AS b ON b.repository = own.repository"
                        " AND b.manifest = own.digest WHERE b.digest = ?3 LIMIT 1",
                        {name.substr(0, colon), name.substr(colon + 1), id}))
        .has_value();
}

Failure no_such(std::string_view id) {
    return fail(Code::NotFound, "no such image: {}", id);
}

// The images with all that belongs to them; of one id, or of all when it is empty.
Result<std::vector<ImageRecord>> load(Database& database, std::string_view id) {
    Transaction tx = TRY(database.begin());
    std::map<std::string, Layer> layers;
    for (const Row& row : TRY(tx.query("SELECT chain_id, parent, size FROM layers"))) {
        layers[row.text(0)] = {
            row.text(0), {}, row.text(1), static_cast<std::uint64_t>(row.integer(2))};
    }
    std::map<std::string, ImageRecord> images;
    for (const Row& row : TRY(tx.query("SELECT id, chain_id, added, used FROM images "
                                       "WHERE ?1 = '' OR id = ?1",
                                       {id}))) {
        ImageRecord& image = images[row.text(0)];
        image.id = row.text(0);
        image.chain_id = row.text(1);
        image.added = Time(std::chrono::nanoseconds(row.integer(2)));
        image.used = Time(std::chrono::nanoseconds(row.integer(3)));
        for (auto layer = layers.find(image.chain_id); layer != layers.end();
             layer = layers.find(layer->second.parent)) {
            image.size += layer->second.size;
        }
    }
    for (const Row& row :
         TRY(tx.query("SELECT image_id, kind, digest, media_type, size FROM image_blobs "
                      "WHERE ?1 = '' OR image_id = ?1 ORDER BY image_id, position",
                      {id}))) {
        images[row.text(0)].blobs.push_back({kind_of(row.integer(1)), row.text(2), row.text(3),
                                             static_cast<std::uint64_t>(row.integer(4))});
    }
    for (const Row& row :
         TRY(tx.query("SELECT image_id, reference, is_digest, target FROM image_references "
                      "WHERE ?1 = '' OR image_id = ?1 ORDER BY is_digest, reference",
                      {id}))) {
        ImageRecord& image = images[row.text(0)];
        (row.boolean(2) ? image.digests : image.tags).push_back(row.text(1));
        if (image.target.empty()) image.target = row.text(3);
    }
    for (const Row& row :
         TRY(tx.query("SELECT DISTINCT blobs.image_id FROM image_references AS names "
                      "JOIN image_blobs AS blobs ON blobs.digest = names.target AND blobs.kind = 2 "
                      "WHERE names.image_id <> blobs.image_id AND (?1 = '' OR blobs.image_id = ?1)",
                      {id}))) {
        images[row.text(0)].in_named_index = true;
    }
    std::vector<ImageRecord> out;
    out.reserve(images.size());
    for (auto& [key, image] : images) out.push_back(std::move(image));
    return out;
}

}  // namespace

Images::Images(Database& database, Gc& gc) : database_(&database), gc_(&gc) {}

const ImageBlob* ImageRecord::find(BlobKind kind, std::string_view digest) const {
    const auto found = std::find_if(blobs.begin(), blobs.end(), [&](const ImageBlob& blob) {
        return blob.kind == kind && blob.digest == digest;
    });
    return found == blobs.end() ? nullptr : &*found;
}

Result<void> Images::add(const ImageRecord& image) {
    Transaction tx = TRY(database_->begin());
    const Value chain = image.chain_id.empty() ? Value(nullptr) : Value(image.chain_id);
    const Value time = std::int64_t{now().time_since_epoch().count()};
    const auto added =
        TRY_CONTEXT(tx.run("INSERT INTO images (id, chain_id, added, used) VALUES (?, ?, ?3, ?3) "
                           "ON CONFLICT (id) DO NOTHING",
                           {image.id, chain, time}),
                    "add image {}", image.id);
    std::set<std::string> known;
    std::int64_t position = 0;
    if (added == 0) {
        TRY(tx.run("UPDATE images SET used = ? WHERE id = ?", {time, image.id}));
        for (const Row& row : TRY(tx.query(
                 "SELECT digest, position FROM image_blobs WHERE image_id = ?", {image.id}))) {
            known.insert(row.text(0));
            position = std::max(position, row.integer(1) + 1);
        }
    }
    for (const ImageBlob& blob : image.blobs) {
        if (known.contains(blob.digest)) continue;
        TRY(tx.run(
            "INSERT INTO image_blobs (image_id, position, kind, digest, media_type, size) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            {image.id, position++, number_of(blob.kind), blob.digest, blob.media_type, blob.size}));
    }
    return tx.commit();
}

Result<std::optional<std::string>> Images::tag(std::string_view name, std::string_view id,
                                               std::string_view target) {
    Transaction tx = TRY(database_->begin());
    const auto before =
        TRY(tx.first("SELECT image_id FROM image_references WHERE reference = ?", {name}));
    const auto set = tx.run(
        "INSERT INTO image_references (reference, image_id, is_digest, target) "
        "VALUES (?, ?, 0, ?) ON CONFLICT (reference) DO UPDATE "
        "SET image_id = excluded.image_id, target = excluded.target",
        {name, id, target.empty() ? Value(nullptr) : Value(target)});
    if (!set && set.error().code == Code::Conflict) return no_such(id);
    if (!set) return fail(set.error());
    if (!TRY(manifest_has(tx, name, id))) TRY(untag_manifest(tx, name));
    TRY(tx.commit());
    return before ? std::optional(before->text(0)) : std::nullopt;
}

Result<void> Images::add_digest(std::string_view reference, std::string_view id) {
    const auto set = database_->run(
        "INSERT INTO image_references (reference, image_id, is_digest, target) "
        "VALUES (?, ?, 1, ?) ON CONFLICT (reference) DO UPDATE SET image_id = excluded.image_id",
        {reference, id, reference.substr(reference.find('@') + 1)});
    if (!set && set.error().code == Code::Conflict) return no_such(id);
    if (!set) return fail(set.error());
    return {};
}

Result<void> Images::untag(std::string_view reference) {
    Transaction tx = TRY(database_->begin());
    const auto n = TRY(tx.run("DELETE FROM image_references WHERE reference = ?", {reference}));
    if (n == 0) return no_such(reference);
    TRY(untag_manifest(tx, reference));
    return tx.commit();
}

Result<ImageRecord> Images::get(std::string_view id) const {
    if (id.empty()) return no_such(id);
    auto found = TRY(load(*database_, id));
    if (found.empty()) return no_such(id);
    return std::move(found.front());
}

std::optional<std::string> Images::find_reference(std::string_view reference) const {
    const auto row =
        database_->first("SELECT image_id FROM image_references WHERE reference = ?", {reference});
    if (!row || !*row) return {};
    return (*row)->text(0);
}

std::optional<std::string> Images::target_of(std::string_view reference) const {
    const auto row =
        database_->first("SELECT target FROM image_references WHERE reference = ?", {reference});
    if (!row || !*row || (*row)->is_null(0)) return {};
    return (*row)->text(0);
}

Result<std::vector<std::string>> Images::of_target(std::string_view digest) const {
    return first_column(
        TRY(database_->query("SELECT DISTINCT image_id FROM image_blobs "
                             "WHERE digest = ? AND kind IN (1, 2)",
                             {digest})));
}

Result<std::optional<std::string>> Images::find_id(std::string_view prefix) const {
    std::string_view hex = prefix;
    if (hex.starts_with("sha256:")) hex.remove_prefix(7);
    if (hex.empty() || hex.size() > 64 ||
        hex.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
        return std::optional<std::string>();
    }
    const std::string from = format("sha256:{}", hex);
    const auto rows = TRY(database_->query("SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2",
                                           {from, from + "g"}));
    if (rows.size() > 1) {
        return fail(Code::Conflict, "several images have an id that begins with '{}'", prefix);
    }
    if (rows.empty()) return std::optional<std::string>();
    return std::optional<std::string>(rows[0].text(0));
}

Result<std::vector<ImageRecord>> Images::list() const {
    return load(*database_, "");
}

Result<std::vector<std::string>> Images::built_on(std::string_view id) const {
    return first_column(TRY(database_->query(
        "WITH RECURSIVE above(chain_id) AS ("
        "  SELECT layers.chain_id FROM layers JOIN images ON layers.parent = images.chain_id"
        "    WHERE images.id = ?"
        "  UNION SELECT layers.chain_id FROM layers JOIN above ON layers.parent = above.chain_id)"
        " SELECT id FROM images WHERE chain_id IN (SELECT chain_id FROM above) ORDER BY id",
        {id})));
}

Result<Images::Parts> Images::drop_row(std::string_view id) {
    Transaction tx = TRY(database_->begin());
    Parts parts;
    parts.layers = first_column(
        TRY(tx.query("WITH RECURSIVE below(chain_id) AS (SELECT chain_id FROM images WHERE id = ?"
                     " UNION ALL SELECT layers.parent FROM layers JOIN below USING (chain_id))"
                     " SELECT chain_id FROM below WHERE chain_id IS NOT NULL",
                     {id})));
    parts.blobs =
        first_column(TRY(tx.query("SELECT digest FROM image_blobs WHERE image_id = ?", {id})));
    for (const Row& row :
         TRY(tx.query("SELECT reference FROM image_references WHERE image_id = ?", {id}))) {
        TRY(untag_manifest(tx, row.text(0)));
    }
    if (TRY(tx.run("DELETE FROM images WHERE id = ?", {id})) == 0) return no_such(id);
    TRY(tx.commit());
    return parts;
}

Result<std::vector<std::string>> Images::remove(std::string_view id) {
    const Parts parts = TRY(drop_row(id));
    return gc_->collect(parts.blobs, parts.layers);
}

Result<std::vector<std::string>> Images::remove_unheld(std::string_view id,
                                                       const std::function<bool()>& may_go) {
    Parts parts;
    const auto drop = [&]() -> Result<void> {
        if (!may_go()) return fail(Code::Conflict, "image {} is in use", id);
        parts = TRY(drop_row(id));
        return {};
    };
    TRY(gc_->if_unheld(id, drop));
    return gc_->collect(parts.blobs, parts.layers);
}

Result<void> Images::stamp(const std::map<std::string, Time>& uses) {
    Transaction tx = TRY(database_->begin());
    for (const auto& [id, time] : uses) {
        TRY(tx.run("UPDATE images SET used = ?2 WHERE id = ?1 AND used < ?2",
                   {id, std::int64_t{time.time_since_epoch().count()}}));
    }
    return tx.commit();
}

}  // namespace coffer::store
