// What the AWS SDK for JavaScript is asked to do, with its own defaults but for path style; ends with 0 when all of it held.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";

import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
  UploadPartCommand,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const MIB = 1024 * 1024;
const [Bucket, oddKeysText] = process.argv.slice(2);
const oddKeys = JSON.parse(oddKeysText);
const client = new S3Client({ forcePathStyle: true });
const plainClient = new S3Client({ forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });

const bytesOf = async (answer) => Buffer.from(await answer.Body.transformToByteArray());
const get = async (Key, options = {}) => client.send(new GetObjectCommand({ Bucket, Key, ...options }));
const put = async (Key, Body, options = {}) => client.send(new PutObjectCommand({ Bucket, Key, Body, ...options }));
const refused = async (asked, name, status) => {
  const error = await asked.then(
    () => assert.fail(`not refused with ${name}`),
    (each) => each,
  );
  assert.deepEqual([error.name, error.$metadata?.httpStatusCode], [name, status], error.stack);
};

const chapters = {
  async "bytes come back with their checksum and metadata"() {
    for (const size of [0, 1, 70_000, 3 * MIB]) {
      const payload = randomBytes(size);
      const written = await put("plain", payload, { ContentType: "text/x-plain", Metadata: { Colour: "blue" } });
      const answer = await get("plain");
      assert.deepEqual(await bytesOf(answer), payload);
      assert.equal(answer.ETag, written.ETag);
      assert.match(answer.ETag, /^"[0-9a-f]{32}"$/);
      assert.ok(written.ChecksumCRC32);
      assert.equal(answer.ChecksumCRC32, written.ChecksumCRC32);
      assert.equal(answer.ContentType, "text/x-plain");
      assert.deepEqual(answer.Metadata, { colour: "blue" });
    }
  },

  async "a stream goes in chunks with its checksum behind it"() {
    const payload = randomBytes(400_000);
    await put("stream", Readable.from([payload.subarray(0, 150_000), payload.subarray(150_000)]), {
      ContentLength: payload.length,
    });
    const answer = await get("stream");
    assert.deepEqual(await bytesOf(answer), payload);
    assert.equal(answer.ContentEncoding, undefined);
  },

  async "an upload of parts is one object"() {
    const payload = randomBytes(16 * MIB + 77);
    const upload = new Upload({
      client,
      params: { Bucket, Key: "parts", Body: Readable.from([payload]), ContentType: "text/x-parts" },
      partSize: 5 * MIB,
      queueSize: 3,
    });
    const done = await upload.done();
    assert.match(done.ETag, /^"[0-9a-f]{32}-4"$/);
    assert.ok(done.Location);
    const answer = await get("parts");
    assert.equal(answer.ETag, done.ETag);
    assert.deepEqual(await bytesOf(answer), payload);
    const part = await get("parts", { Range: `bytes=${5 * MIB - 2}-${5 * MIB + 2}` });
    assert.equal(part.$metadata.httpStatusCode, 206);
    assert.deepEqual(await bytesOf(part), payload.subarray(5 * MIB - 2, 5 * MIB + 3));
  },

  async "an aborted upload is gone"() {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: "aborted" }));
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: "aborted", UploadId }));
    const late = new UploadPartCommand({ Bucket, Key: "aborted", UploadId, PartNumber: 1, Body: "late" });
    await refused(client.send(late), "NoSuchUpload", 404);
  },

  async "odd keys go there and back, are listed page by page and deleted in one request"() {
    for (const key of oddKeys) await put(key, key);
    for (const key of oddKeys) assert.equal(await (await get(key)).Body.transformToString(), key);
    const seen = [];
    for await (const page of paginateListObjectsV2({ client, pageSize: 5 }, { Bucket })) {
      seen.push(...page.Contents.map((each) => each.Key));
    }
    assert.ok(oddKeys.every((key) => seen.includes(key)));
    const copied = { Bucket, Key: "copied", CopySource: encodeURIComponent(`${Bucket}/${oddKeys[2]}`) };
    await client.send(new CopyObjectCommand(copied));
    assert.equal(await (await get("copied")).Body.transformToString(), oddKeys[2]);
    const answer = await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: oddKeys.map((Key) => ({ Key })) } }),
    );
    assert.equal(answer.Deleted.length, oddKeys.length);
    assert.equal(answer.Errors, undefined);
  },

  async "conditions are decided by the server"() {
    const first = await put("once", "first", { IfNoneMatch: "*" });
    await refused(put("once", "second", { IfNoneMatch: "*" }), "PreconditionFailed", 412);
    const second = await put("once", "second", { IfMatch: first.ETag });
    await refused(put("once", "third", { IfMatch: first.ETag }), "PreconditionFailed", 412);
    await refused(get("once", { IfNoneMatch: second.ETag }), "Unknown", 304);
    await refused(get("once", { IfMatch: first.ETag }), "PreconditionFailed", 412);
    assert.equal(await (await get("once")).Body.transformToString(), "second");
  },

  async "presigned requests need no headers"() {
    const there = await getSignedUrl(plainClient, new PutObjectCommand({ Bucket, Key: "shared key" }));
    assert.equal((await fetch(there, { method: "PUT", body: "for all" })).status, 200);
    const asked = { Bucket, Key: "shared key", ResponseContentType: "text/x-shared" };
    const back = await fetch(await getSignedUrl(client, new GetObjectCommand(asked)));
    assert.equal(back.headers.get("content-type"), "text/x-shared");
    assert.equal(await back.text(), "for all");
  },

  async "a checksum signed into a link counts"() {
    // A client with its defaults signs that of no bytes, for want of the body.
    const link = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: "summed link" }));
    const answer = await fetch(link, { method: "PUT", body: "other bytes" });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /<Code>BadDigest<\/Code>/);
    assert.equal((await fetch(link, { method: "PUT", body: "" })).status, 200);
  },

  async "a form takes what its policy allows"() {
    const Conditions = [["content-length-range", 1, 20], ["starts-with", "$key", "forms/"]];
    const { url, fields } = await createPresignedPost(client, { Bucket, Key: "forms/${filename}", Conditions });
    const post = async (text) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.append(name, value);
      form.append("file", new Blob([text]), "named ü.txt");
      return fetch(url, { method: "POST", body: form });
    };
    assert.equal((await post("posted")).status, 204);
    assert.equal(await (await get("forms/named ü.txt")).Body.transformToString(), "posted");
    assert.equal((await post("x".repeat(21))).status, 400);
  },

  async "attributes tell of parts, tags of whatever they were given"() {
    const asked = { Bucket, Key: "parts", ObjectAttributes: ["ETag", "ObjectSize", "ObjectParts", "StorageClass"] };
    const told = await client.send(new GetObjectAttributesCommand(asked));
    assert.equal(told.ObjectSize, 16 * MIB + 77);
    assert.equal(told.ObjectParts.TotalPartsCount, 4);
    assert.match(told.ETag, /^[0-9a-f]{32}-4$/);
    const TagSet = [{ Key: "colour", Value: "blau + grün" }];
    await client.send(new PutObjectTaggingCommand({ Bucket, Key: "parts", Tagging: { TagSet } }));
    const tags = await client.send(new GetObjectTaggingCommand({ Bucket, Key: "parts" }));
    assert.deepEqual(tags.TagSet, TagSet);
  },

  async "versions are kept once that is switched on"() {
    const VersioningConfiguration = { Status: "Enabled" };
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    const first = await put("versions", "first");
    const second = await put("versions", "second");
    const marker = await client.send(new DeleteObjectCommand({ Bucket, Key: "versions" }));
    assert.equal(marker.DeleteMarker, true);
    await refused(get("versions"), "NoSuchKey", 404);
    assert.equal(await (await get("versions", { VersionId: first.VersionId })).Body.transformToString(), "first");
    await client.send(new DeleteObjectCommand({ Bucket, Key: "versions", VersionId: marker.VersionId }));
    const restored = await client.send(new HeadObjectCommand({ Bucket, Key: "versions" }));
    assert.equal(restored.VersionId, second.VersionId);
  },

  async "what is not there is told by its name"() {
    await refused(get("nothing"), "NoSuchKey", 404);
    await refused(client.send(new HeadObjectCommand({ Bucket, Key: "nothing" })), "NotFound", 404);
    await refused(client.send(new HeadBucketCommand({ Bucket: "nobody-made-this" })), "NotFound", 404);
    await client.send(new DeleteObjectCommand({ Bucket, Key: "nothing" }));
  },
};

await client.send(new CreateBucketCommand({ Bucket }));
for (const [promise, chapter] of Object.entries(chapters)) {
  try {
    await chapter();
  } catch (error) {
    console.error(`does not hold: ${promise}`);
    throw error;
  }
}
const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
for (const { Key, VersionId } of [...Versions, ...DeleteMarkers]) {
  await client.send(new DeleteObjectCommand({ Bucket, Key, VersionId }));
}
await client.send(new DeleteBucketCommand({ Bucket }));
