// USD, us-east-1, 2026, as reported, per request unless stated otherwise.
// https://aws.amazon.com/s3/pricing/ https://aws.amazon.com/lambda/pricing/
// https://aws.amazon.com/cloudfront/pricing/
// DynamoDB on demand: the prices since 1 November 2024, as reported in July 2025 by
// https://airbyte.com/data-engineering-resources/dynamodb-pricing; AWS's own page is
// https://aws.amazon.com/dynamodb/pricing/on-demand/. One UpdateItem is one write unit for
// each begun kilobyte of the item, one strongly consistent read a unit for each begun 4 KB.
export const PRICE = {
  PUT: 5e-6, LIST: 5e-6, GET: 0.4e-6, HEAD: 0.4e-6,
  UpdateItem: 0.625e-6, GetItem: 0.125e-6, Query: 0.125e-6,
  invocation: 0.6e-6, gigabyteSecond: 0.00005001,
  request: 1e-6, originGigabyte: 0.02,
};

// LARGE are the sizes of files in the table of large files, in gigabytes.
export const LARGE = [1, 5, 50];
