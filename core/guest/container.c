/* SPDX-License-Identifier: MIT */
/*
 * A disk as a container image, as KubeVirt takes them: one layer with /disk/disk.qcow2 that belongs
 * to the user of its QEMU. The archive is an OCI image layout (image-spec, image-layout.md) with
 * the manifest.json of `docker save` beside it, so that skopeo, podman and docker all load it.
 */
#include "core/guest/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEDIA "application/vnd.oci.image."
#define NAME  "novacore/appliance"

struct blob {
	char digest[65];
	uint64_t bytes;
};

/* Numbers and not names, and one time for all: the same disk makes the same bytes. */
#define TAR(...)                                                                                   \
	(const char *const[])                                                                      \
	{                                                                                          \
		"tar", "--create", "--format=ustar", "--sort=name", "--mtime=@0",                  \
		        "--numeric-owner", __VA_ARGS__, NULL                                       \
	}

static int run(const struct guest_site *site, const char *const *argv, struct nova_error *error)
{
	struct nova_child_result result = {0};
	int failed = guest_site_check(site, argv, NULL, &result, error);

	nova_child_result_free(&result);
	return failed;
}

/* Moves a file to where its digest says. */
static int take_blob(const struct guest_site *site, const char *path, struct blob *blob,
                     struct nova_error *error)
{
	struct stat about;

	if (stat(path, &about) != 0)
		return nova_error_errno(error, "cannot read %s", path);
	blob->bytes = (uint64_t)about.st_size;
	int failed = nova_sha256_file(path, blob->digest, error);
	if (failed != 0)
		return failed;
	NOVA_AUTOFREE char *to =
	        nova_format("%s/image/blobs/sha256/%s", site->directory, blob->digest);
	return rename(path, to) == 0 ? 0 : nova_error_errno(error, "cannot make %s", to);
}

static int put_json(const struct guest_site *site, const char *name, json_t *json,
                    struct nova_error *error)
{
	NOVA_AUTOFREE char *path = nova_format("%s/image/%s", site->directory, name);
	NOVA_AUTOFREE char *text = nova_json_canonical(json);

	json_decref(json);
	return guest_site_file(path, text, strlen(text), 0644, error);
}

static int put_blob(const struct guest_site *site, json_t *json, struct blob *blob,
                    struct nova_error *error)
{
	NOVA_AUTOFREE char *path = nova_format("%s/image/blob", site->directory);
	int failed = put_json(site, "blob", json, error);

	return failed != 0 ? failed : take_blob(site, path, blob, error);
}

static json_t *descriptor(const char *type, const struct blob *blob)
{
	NOVA_AUTOFREE char *digest = nova_format("sha256:%s", blob->digest);

	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size",
	                 (json_int_t)blob->bytes);
}

static int make_layer(const struct guest_site *site, const char *disk, struct blob *layer,
                      struct nova_error *error)
{
	static const char *const directories[] = {"image", "image/blobs", "image/blobs/sha256",
	                                          "layer", "layer/disk"};
	NOVA_AUTOFREE char *inside = nova_format("%s/layer/disk/disk.qcow2", site->directory);
	NOVA_AUTOFREE char *path = nova_format("%s/layer.tar", site->directory);
	int failed = 0;

	for (size_t i = 0; failed == 0 && i < NOVA_COUNT(directories); i++) {
		NOVA_AUTOFREE char *at = nova_format("%s/%s", site->directory, directories[i]);
		failed = guest_site_directory(at, 0755, error);
	}
	if (failed == 0 && (rename(disk, inside) != 0 || chmod(inside, 0444) != 0))
		failed = nova_error_errno(error, "cannot use %s", disk);
	if (failed == 0)
		failed = run(site,
		             TAR("--owner=107", "--group=107", "--directory=layer",
		                 "--file=layer.tar", "disk"),
		             error);
	return failed != 0 ? failed : take_blob(site, path, layer, error);
}

static json_t *docker_manifest(const struct blob *config, const struct blob *layer, const char *id)
{
	NOVA_AUTOFREE char *config_path = nova_format("blobs/sha256/%s", config->digest);
	NOVA_AUTOFREE char *layer_path = nova_format("blobs/sha256/%s", layer->digest);
	NOVA_AUTOFREE char *tag = nova_format(NAME ":%.16s", id);

	return json_pack("[{s:s, s:[s], s:[s]}]", "Config", config_path, "RepoTags", tag, "Layers",
	                 layer_path);
}

int guest_container_write(const struct guest_site *site, const char *disk, const char *id,
                          const char *to, struct nova_error *error)
{
	struct blob layer = {0}, config = {0}, manifest = {0};
	int failed = make_layer(site, disk, &layer, error);
	NOVA_AUTOFREE char *layer_id = nova_format("sha256:%s", layer.digest);
	NOVA_AUTOFREE char *tag = nova_format("%.16s", id);
	NOVA_AUTOFREE char *file = nova_format("--file=%s", to);

	if (failed == 0)
		failed = put_blob(site,
		                  json_pack("{s:s, s:s, s:{}, s:{s:s, s:[s]}}", "architecture",
		                            "amd64", "os", "linux", "config", "rootfs", "type",
		                            "layers", "diff_ids", layer_id),
		                  &config, error);
	if (failed == 0)
		failed = put_blob(site,
		                  json_pack("{s:i, s:s, s:o, s:[o]}", "schemaVersion", 2,
		                            "mediaType", MEDIA "manifest.v1+json", "config",
		                            descriptor(MEDIA "config.v1+json", &config), "layers",
		                            descriptor(MEDIA "layer.v1.tar", &layer)),
		                  &manifest, error);
	json_t *listed = descriptor(MEDIA "manifest.v1+json", &manifest);
	json_object_set_new(listed, "annotations",
	                    json_pack("{s:s}", "org.opencontainers.image.ref.name", tag));
	json_t *index = json_pack("{s:i, s:[o]}", "schemaVersion", 2, "manifests", listed);
	if (failed == 0)
		failed = put_json(site, "index.json", json_incref(index), error);
	json_decref(index);
	if (failed == 0)
		failed = put_json(site, "oci-layout",
		                  json_pack("{s:s}", "imageLayoutVersion", "1.0.0"), error);
	if (failed == 0)
		failed = put_json(site, "manifest.json", docker_manifest(&config, &layer, id),
		                  error);
	if (failed == 0)
		failed = run(site,
		             TAR("--owner=0", "--group=0", "--directory=image", file, "blobs",
		                 "index.json", "manifest.json", "oci-layout"),
		             error);
	return failed;
}
