# A bucket with what most configurations give it, and an object in it.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
  # The state itself lives in Penstock too; the rest of its settings comes with `init`.
  backend "s3" {
    use_lockfile                = true
    use_path_style              = true
    skip_credentials_validation = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_requesting_account_id  = true
    skip_s3_checksum            = false
  }
}

variable "content" {
  type    = string
  default = "first"
}

provider "aws" {
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

resource "aws_s3_bucket" "kept" {
  bucket        = "terraform-kept"
  force_destroy = true
  tags = {
    purpose = "tests + more"
  }
}

resource "aws_s3_bucket_versioning" "kept" {
  bucket = aws_s3_bucket.kept.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_cors_configuration" "kept" {
  bucket = aws_s3_bucket.kept.id
  cors_rule {
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://app.example.com"]
    allowed_headers = ["*"]
    expose_headers  = ["ETag"]
    max_age_seconds = 300
  }
}

resource "aws_s3_object" "kept" {
  bucket       = aws_s3_bucket_versioning.kept.bucket
  key          = "folder/ü +.txt"
  content      = var.content
  content_type = "text/plain"
  metadata = {
    colour = "blue"
  }
  tags = {
    owner = "terraform"
  }
}

output "version_id" {
  value = aws_s3_object.kept.version_id
}
