// USD, us-east-1, 2026, as reported, per request unless stated otherwise.
// https://aws.amazon.com/s3/pricing/ https://aws.amazon.com/lambda/pricing/
// https://aws.amazon.com/cloudfront/pricing/
export const PRICE = {
  PUT: 5e-6, LIST: 5e-6, GET: 0.4e-6, HEAD: 0.4e-6,
  invocation: 0.6e-6, gigabyteSecond: 0.00005001,
  request: 1e-6, originGigabyte: 0.02,
};

// LARGE are the sizes of files in the table of large files, in gigabytes.
export const LARGE = [1, 5, 50];
